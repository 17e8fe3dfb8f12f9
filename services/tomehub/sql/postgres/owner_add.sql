-- $1 identity. Nothing happens when the owner, or another one with the id, was faster.
INSERT INTO owners (id, identity)
SELECT max(id) + 1, $1::text FROM owners WHERE true
ON CONFLICT DO NOTHING;
