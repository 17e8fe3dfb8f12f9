-- $1 owner, $2 book. Gone for every reader at once; its rows are purged afterwards.
UPDATE books SET state = 'purging', changed = (SELECT generation FROM owners WHERE id = $1) + 1
WHERE owner_id = $1 AND id = $2 AND state = 'ready';
