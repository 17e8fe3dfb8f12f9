-- $1 owner, $2 JSON array of chunk ids. One row for each that is there, in the order asked.
SELECT c.id, c.book_id, b.title, b.author, b.source_type, b.page_kind, b.tags, b.metadata,
       c.chapter,
       c.page_number, coalesce(l.label, c.page_number::text), c.paragraph, c.content
FROM json_array_elements_text($2::json) WITH ORDINALITY AS wanted (id, place)
JOIN chunks c ON c.id = wanted.id::bigint AND c.owner_id = $1
JOIN books b ON b.id = c.book_id AND b.owner_id = $1 AND b.state = 'ready'
LEFT JOIN page_labels l ON l.book_id = c.book_id AND l.number = c.page_number
ORDER BY wanted.place;
