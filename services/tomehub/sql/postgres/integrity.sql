-- slow: it counts every chunk. One row 'ok', or what is wrong with the library.
SELECT coalesce(
    (SELECT 'book ' || b.id || ' has not all of its chunks'
     FROM books b
     WHERE b.state = 'ready'
       AND b.chunk_count <> (SELECT count(*) FROM chunks c
                             WHERE c.id BETWEEN b.id << 20 AND ((b.id + 1) << 20) - 1)
     ORDER BY b.id LIMIT 1),
    'ok');
