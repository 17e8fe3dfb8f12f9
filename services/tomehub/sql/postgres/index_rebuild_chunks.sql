-- primary: the index is made of what is found.
-- Chunks behind $1 up to $2, $3 of them.
SELECT id, chapter, content FROM chunks WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3;
