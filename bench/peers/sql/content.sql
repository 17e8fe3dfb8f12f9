-- $1 chunk.
SELECT c.id, c.book_id, b.title, b.author, b.source_type, c.chapter, c.page_number, c.page_label,
       b.page_kind, c.paragraph, c.content, b.tags, b.metadata
FROM peers.chunks c
JOIN peers.books b ON b.id = c.book_id
WHERE c.id = $1;
