-- Owner. Before words are removed.
INSERT INTO word_generations (owner_id, generation) VALUES (?1, 1)
ON CONFLICT (owner_id) DO UPDATE SET generation = word_generations.generation + 1;
