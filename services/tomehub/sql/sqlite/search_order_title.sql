-- Owner.
SELECT id FROM books WHERE owner_id = ?1 AND state = 'ready' ORDER BY title_sort, id;
