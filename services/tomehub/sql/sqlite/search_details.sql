-- JSON array of chunk ids, owner; in their order. Labels: 'number:label' of the chunk's pages, by
-- char(31).
SELECT c.id, b.title, b.author, b.source_type, b.page_kind, b.language, b.tags, b.metadata,
       c.chapter, c.page_number, c.page_breaks, c.paragraph, c.content,
       (SELECT group_concat(l.number || ':' || l.label, char(31)) FROM page_labels AS l
        WHERE l.book_id = c.book_id AND l.number BETWEEN c.page_number AND c.page_end)
FROM json_each(?1) AS wanted
JOIN chunks AS c ON c.id = wanted.value
JOIN books AS b ON b.id = c.book_id AND b.owner_id = ?2
ORDER BY wanted.key;
