-- primary: another server may just have taken the job.
-- $1 owner, $2 job.
SELECT id, book_id, status, stage, file_name, title, percent, pages, chunks, error, created_at,
       finished_at
FROM jobs WHERE owner_id = $1 AND id = $2;
