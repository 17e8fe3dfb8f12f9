-- Owner.
SELECT id FROM books WHERE owner_id = ?1 AND state = 'ready' ORDER BY created_at DESC, id DESC;
