-- Chunks behind $1 up to $2, $3 of them. As chunk_insert takes them.
SELECT id, owner_id, book_id, chapter, page_number, page_end, page_breaks, paragraph, overlap,
       word_count, content
FROM chunks WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3;
