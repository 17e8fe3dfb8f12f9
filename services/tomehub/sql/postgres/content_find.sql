-- $1 owner, $2 content hash. The book with this content (job NULL), or the job that takes it in.
SELECT id AS book_id, NULL AS job_id, NULL AS status
FROM books WHERE owner_id = $1 AND content_hash = $2 AND state = 'ready'
UNION ALL
SELECT book_id, id, status
FROM jobs WHERE owner_id = $1 AND content_hash = $2 AND instance IS NOT NULL
LIMIT 1;
