-- Owner, JSON array of chunk ids; those of visible books, in their order. Labels: 'number:label' of
-- the chunk's pages, by char(31).
SELECT c.id, b.title, b.author, b.source_type, b.page_kind, b.language, b.tags, b.metadata,
       c.chapter, c.page_number, c.page_end, c.page_breaks, c.paragraph, c.content,
       (SELECT string_agg(l.number || ':' || l.label, chr(31)) FROM page_labels AS l
        WHERE l.book_id = c.book_id AND l.number BETWEEN c.page_number AND c.page_end)
FROM json_array_elements_text($2::json) WITH ORDINALITY AS wanted (id, place)
JOIN chunks AS c ON c.id = wanted.id::bigint AND c.owner_id = $1
JOIN books AS b ON b.id = c.book_id AND b.owner_id = $1 AND b.state = 'ready'
ORDER BY wanted.place;
