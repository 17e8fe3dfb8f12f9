SELECT id, generation, identity FROM owners ORDER BY id;
