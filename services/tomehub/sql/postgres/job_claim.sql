-- $1 instance, $2 now. The oldest job queued for this process becomes running.
UPDATE jobs
SET status = 'running', stage = 'extract', attempt = attempt + 1, started_at = $2,
    percent = 0, pages = 0, chunks = 0
WHERE id = (SELECT id FROM jobs WHERE instance = $1 AND status = 'queued' ORDER BY id LIMIT 1
            FOR UPDATE SKIP LOCKED)
RETURNING id, owner_id, book_id, replaces, input, input_kind, content_hash, file_name, title,
    attempt,
          (SELECT language FROM books WHERE books.id = jobs.book_id),
          (SELECT byte_size FROM books WHERE books.id = jobs.book_id);
