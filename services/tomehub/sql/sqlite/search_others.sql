-- Owner. Whether others have books, too: their chunks are in the same index.
SELECT EXISTS (SELECT 1 FROM books WHERE owner_id < ?1)
    OR EXISTS (SELECT 1 FROM books WHERE owner_id > ?1);
