-- Owner.
SELECT generation FROM word_generations WHERE owner_id = ?1;
