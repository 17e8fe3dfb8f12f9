SELECT id, generation FROM owners ORDER BY id;
