-- Who the owners are, and the keys they come with.

-- What proves to be the owner: the issuer and subject of a token, with a blank between them, or the
-- name a key was made for. NULL: the first owner, whom commands on the machine and a server without
-- authentication work for.
ALTER TABLE owners ADD COLUMN identity TEXT;
CREATE UNIQUE INDEX owners_by_identity ON owners (identity);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, -- the key's public part
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    name TEXT NOT NULL,
    scopes INTEGER NOT NULL, -- bits of enum bh_scope
    hash BLOB NOT NULL, -- SHA-256 of the whole key, which is kept nowhere
    created_at INTEGER NOT NULL,
    expires_at INTEGER, -- NULL: never
    revoked_at INTEGER,
    change INTEGER NOT NULL -- of key_changes, at the row's last change
) STRICT;
CREATE UNIQUE INDEX api_keys_by_change ON api_keys (change);

-- One row. Taking the next number holds its lock until the change is committed, so a reader who has
-- seen a number has seen all before it.
CREATE TABLE key_changes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO key_changes (id, last) VALUES (1, 0);
