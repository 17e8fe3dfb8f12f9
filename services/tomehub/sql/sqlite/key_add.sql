-- ?1 id, ?2 owner, ?3 name, ?4 scopes, ?5 hash, ?6 now, ?7 expiry or NULL, ?8 change.
INSERT INTO api_keys (id, owner_id, name, scopes, hash, created_at, expires_at, change)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
