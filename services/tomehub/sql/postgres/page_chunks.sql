-- $1 owner, $2 book, $3 its first chunk id, $4 its last one + 1, $5 page: the chunks that touch the
-- page. Pages never fall along a book's run of chunks, so both ends are found by halving, without
-- an index.
WITH RECURSIVE
first_end (low, high) AS ( -- the first chunk that ends on the page or later
    SELECT $3::bigint, $4::bigint
    UNION ALL
    SELECT CASE WHEN c.page_end < $5::bigint THEN c.id + 1 ELSE low END,
           CASE WHEN c.page_end < $5::bigint THEN high ELSE c.id END
    FROM first_end JOIN chunks c ON c.id = (low + high) / 2 WHERE low < high
),
first_begin (low, high) AS ( -- the first chunk that begins on a later page
    SELECT $3::bigint, $4::bigint
    UNION ALL
    SELECT CASE WHEN c.page_number <= $5::bigint THEN c.id + 1 ELSE low END,
           CASE WHEN c.page_number <= $5::bigint THEN high ELSE c.id END
    FROM first_begin JOIN chunks c ON c.id = (low + high) / 2 WHERE low < high
)
SELECT c.chapter, c.page_number, c.page_breaks, c.overlap, c.content
FROM chunks c
WHERE c.owner_id = $1 AND c.book_id = $2
  AND c.id >= (SELECT low FROM first_end WHERE low = high)
  AND c.id < (SELECT low FROM first_begin WHERE low = high)
ORDER BY c.id;
