-- $1 book whose rows are purged.
DELETE FROM books WHERE id = $1 AND state = 'purging';
