-- primary: what is found is merged.
-- Whether books are being merged; the first book that is not merged; the last one that may be
-- merged with it, NULL when there are too few yet, or one of them is still being loaded.
SELECT m.last_book IS NOT NULL, m.first_book,
       CASE WHEN NOT EXISTS (SELECT 1 FROM books AS b
                             WHERE b.id BETWEEN m.first_book AND ready.last_book
                               AND b.state = 'loading')
            THEN ready.last_book END
FROM index_merging AS m
CROSS JOIN LATERAL (
    SELECT min(counted.id) AS last_book
    FROM (SELECT next.id, count(*) OVER up_to AS books, sum(next.chunk_count) OVER up_to AS chunks
          FROM (SELECT b.id, b.chunk_count FROM books AS b
                WHERE b.id >= m.first_book ORDER BY b.id LIMIT m.books_wanted) AS next
          WINDOW up_to AS (ORDER BY next.id)) AS counted
    WHERE counted.books >= m.books_wanted OR counted.chunks >= m.chunks_wanted
) AS ready;
