-- $1 id, $2 now, $3 change.
UPDATE api_keys SET revoked_at = $2, change = $3 WHERE id = $1 AND revoked_at IS NULL;
