-- ?1 owner, ?2 book, ?3 its first chunk id, ?4 page: what the book says of the page (its label, the
-- chapter it is in), with each of the chunks that touch it, or NULLs. Pages never fall along a
-- book's run of chunks, so both ends are found by halving, without an index.
WITH RECURSIVE
book AS (
    SELECT b.page_kind, b.page_count, b.chunk_count,
           coalesce((SELECT label FROM page_labels WHERE book_id = b.id AND number = ?4),
                    CAST(?4 AS TEXT)) AS label,
           coalesce((SELECT title FROM chapters WHERE book_id = b.id AND page_number <= ?4
                     ORDER BY page_number DESC, ordinal DESC LIMIT 1), '') AS chapter
    FROM books b
    WHERE b.owner_id = ?1 AND b.id = ?2 AND b.state = 'ready'
),
first_end (low, high) AS ( -- the first chunk that ends on the page or later
    SELECT ?3, ?3 + chunk_count FROM book
    UNION ALL
    SELECT iif(c.page_end < ?4, c.id + 1, low), iif(c.page_end < ?4, high, c.id)
    FROM first_end JOIN chunks c ON c.id = (low + high) / 2 WHERE low < high
),
first_begin (low, high) AS ( -- the first chunk that begins on a later page
    SELECT ?3, ?3 + chunk_count FROM book
    UNION ALL
    SELECT iif(c.page_number <= ?4, c.id + 1, low), iif(c.page_number <= ?4, high, c.id)
    FROM first_begin JOIN chunks c ON c.id = (low + high) / 2 WHERE low < high
)
SELECT b.page_kind, b.page_count, b.label, b.chapter,
       c.page_number, c.page_breaks, c.overlap, c.content
FROM book b
LEFT JOIN chunks c ON c.owner_id = ?1 AND c.book_id = ?2
  AND c.id >= (SELECT low FROM first_end WHERE low = high)
  AND c.id < (SELECT low FROM first_begin WHERE low = high)
ORDER BY c.id;
