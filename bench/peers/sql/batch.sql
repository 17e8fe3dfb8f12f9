-- $1 array of chunks. Those that are there, in the order asked.
SELECT c.id, c.book_id, b.title, b.author, b.source_type, c.chapter, c.page_number, c.page_label,
       b.page_kind, c.paragraph, c.content, b.tags, b.metadata
FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (id, position)
JOIN peers.chunks c ON c.id = wanted.id
JOIN peers.books b ON b.id = c.book_id
ORDER BY wanted.position;
