-- A key as transfer_keys gives it.
INSERT INTO api_keys (id, owner_id, name, scopes, hash, created_at, expires_at, revoked_at, change)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);
