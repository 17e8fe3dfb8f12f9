-- $1 identity.
SELECT id FROM owners WHERE identity = $1;
