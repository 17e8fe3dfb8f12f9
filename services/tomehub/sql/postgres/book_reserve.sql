-- Reserves an id. Owner, title, author, source type, language, tags, metadata, content hash, file
-- name, bytes, now.
INSERT INTO books (owner_id, state, title, author, source_type, language, tags, metadata,
                   content_hash, file_name, byte_size, created_at, updated_at)
VALUES ($1, 'loading', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
RETURNING id;
