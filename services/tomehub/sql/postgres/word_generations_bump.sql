-- Of all owners.
INSERT INTO word_generations (owner_id, generation) SELECT id, 1 FROM owners WHERE true
ON CONFLICT (owner_id) DO UPDATE SET generation = word_generations.generation + 1;
