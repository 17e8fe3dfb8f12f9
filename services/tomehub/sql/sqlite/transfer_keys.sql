-- Columns as key_put takes them.
SELECT id, owner_id, name, scopes, hash, created_at, expires_at, revoked_at, change
FROM api_keys ORDER BY change;
