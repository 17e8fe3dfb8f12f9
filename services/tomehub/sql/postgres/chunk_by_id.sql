-- $1 owner, $2 chunk.
SELECT c.id, c.book_id, b.title, b.author, b.source_type, b.page_kind, b.tags, b.metadata,
       c.chapter,
       c.page_number, coalesce(l.label, c.page_number::text), c.paragraph, c.content
FROM chunks c
JOIN books b ON b.id = c.book_id AND b.owner_id = $1 AND b.state = 'ready'
LEFT JOIN page_labels l ON l.book_id = c.book_id AND l.number = c.page_number
WHERE c.owner_id = $1 AND c.id = $2;
