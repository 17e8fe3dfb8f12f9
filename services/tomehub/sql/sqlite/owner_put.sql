-- Owner, generation, identity or NULL.
INSERT INTO owners (id, generation, identity, stamp)
VALUES (?1, ?2, ?3, random())
ON CONFLICT (id) DO UPDATE SET generation = excluded.generation + 1, stamp = excluded.stamp;
