-- $1 the last change seen, $2 rows: the keys changed since, the oldest change first.
SELECT id, owner_id, scopes, hash, expires_at, revoked_at, change
FROM api_keys WHERE change > $1 ORDER BY change LIMIT $2;
