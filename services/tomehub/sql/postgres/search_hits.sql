-- Owner, array of chunk ids, array of the books with page labels: the chunks there are, with their
-- place in the first array (from 1), in any order. What is the book's, the catalogue knows. Labels:
-- 'number:label' of the chunk's pages, by char(31).
SELECT wanted.place, c.chapter, c.page_number, c.page_breaks, c.paragraph, c.content,
       CASE WHEN c.book_id = ANY ($3::bigint[]) THEN
           (SELECT string_agg(l.number || ':' || l.label, chr(31)) FROM page_labels AS l
            WHERE l.book_id = c.book_id AND l.number BETWEEN c.page_number AND c.page_end)
       END
FROM unnest($2::bigint[]) WITH ORDINALITY AS wanted (id, place)
JOIN chunks AS c ON c.id = wanted.id AND c.owner_id = $1;
