-- First and last book. Only if merge_lock_books has its lock.
UPDATE index_merging
SET last_book = $2, word = '',
    owner_id = (SELECT min(owner_id) FROM books WHERE id BETWEEN $1 AND $2)
WHERE last_book IS NULL AND first_book = $1
  AND EXISTS (SELECT 1 FROM pg_locks
              WHERE pid = pg_backend_pid() AND relation = 'books'::regclass
                AND mode = 'ShareLock' AND granted)
  AND EXISTS (SELECT 1 FROM index_state)
  AND NOT EXISTS (SELECT 1 FROM books WHERE id BETWEEN $1 AND $2 AND state = 'loading');
