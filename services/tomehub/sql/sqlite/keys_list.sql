-- Every key, the newest first.
SELECT k.id, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at, o.identity
FROM api_keys AS k JOIN owners AS o ON o.id = k.owner_id
ORDER BY k.created_at DESC, k.id;
