-- Who the owners are, and the keys they come with.

-- What proves to be the owner: the issuer and subject of a token, with a blank between them, or the
-- name a key was made for. NULL: the first owner, whom commands on the machine and a server without
-- authentication work for.
ALTER TABLE owners ADD COLUMN identity text;
CREATE UNIQUE INDEX owners_by_identity ON owners (identity);

CREATE TABLE api_keys (
    id text PRIMARY KEY, -- the key's public part
    owner_id bigint NOT NULL REFERENCES owners (id),
    name text NOT NULL,
    scopes bigint NOT NULL, -- bits of enum bh_scope
    hash bytea NOT NULL, -- SHA-256 of the whole key, which is kept nowhere
    created_at bigint NOT NULL,
    expires_at bigint, -- NULL: never
    revoked_at bigint,
    change bigint NOT NULL -- of key_changes, at the row's last change
);
CREATE UNIQUE INDEX api_keys_by_change ON api_keys (change);

-- One row. Taking the next number holds its lock until the change is committed, so a reader who has
-- seen a number has seen all before it.
CREATE TABLE key_changes (
    id bigint PRIMARY KEY CHECK (id = 1),
    last bigint NOT NULL
);
INSERT INTO key_changes (id, last) VALUES (1, 0);
