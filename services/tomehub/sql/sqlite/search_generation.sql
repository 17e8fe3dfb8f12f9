-- Owner.
SELECT generation FROM owners WHERE id = ?1;
