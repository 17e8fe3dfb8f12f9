-- $1 owner, $2 the last id seen, $3 the book's last chunk id, $4 rows. For walking a book.
SELECT c.id, c.chapter, c.page_number, c.page_end, c.paragraph, c.overlap, c.content
FROM chunks c
WHERE c.owner_id = $1 AND c.id > $2 AND c.id <= $3
ORDER BY c.id LIMIT $4;
