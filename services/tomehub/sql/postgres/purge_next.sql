-- primary: what is found is removed.
-- The next book to be purged, of any owner.
SELECT id, owner_id, language FROM books WHERE state = 'purging' ORDER BY id LIMIT 1;
