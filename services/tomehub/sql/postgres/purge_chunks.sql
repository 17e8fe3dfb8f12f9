-- primary: what is found is removed.
-- $1 first and $2 last chunk id of a book, $3 rows: what its index rows were made of.
SELECT id, chapter, content FROM chunks WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3;
