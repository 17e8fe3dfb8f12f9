-- $1 owner, $2 book that was never shown; its rows are purged afterwards.
UPDATE books SET state = 'purging' WHERE owner_id = $1 AND id = $2 AND state = 'loading';
