-- $1 owner, $2 book, $3 page: the page's label and the chapter it is in.
SELECT b.page_kind, b.page_count, b.chunk_count,
       coalesce((SELECT label FROM page_labels WHERE book_id = b.id AND number = $3),
                $3::bigint::text),
       coalesce((SELECT title FROM chapters WHERE book_id = b.id AND page_number <= $3
                 ORDER BY page_number DESC, ordinal DESC LIMIT 1), '')
FROM books b
WHERE b.owner_id = $1 AND b.id = $2 AND b.state = 'ready';
