-- Owner, generation.
INSERT INTO owners (id, generation) VALUES (?1, ?2)
ON CONFLICT (id) DO UPDATE SET generation = excluded.generation + 1;
