-- Owner, instance, book, book replaced, input, its kind, content hash, file name, title, now.
INSERT INTO jobs (owner_id, status, stage, instance, book_id, replaces, input, input_kind,
                  content_hash, file_name, title, created_at)
VALUES ($1, 'queued', 'queued', $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING id;
