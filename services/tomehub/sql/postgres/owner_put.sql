-- Owner, generation, identity or NULL.
INSERT INTO owners (id, generation, identity) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET generation = excluded.generation + 1;
