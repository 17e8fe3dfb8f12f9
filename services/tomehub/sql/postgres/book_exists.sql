-- $1 owner, $2 book.
SELECT 1 FROM books WHERE owner_id = $1 AND id = $2 AND state = 'ready';
