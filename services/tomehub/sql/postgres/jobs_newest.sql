-- primary: another server may just have taken the job.
-- $1 owner, $2 JSON array of statuses (NULL: all), $3 rows.
SELECT id, book_id, status, stage, file_name, title, percent, pages, chunks, error, created_at,
       finished_at
FROM jobs
WHERE owner_id = $1
  AND ($2::json IS NULL OR status IN (SELECT json_array_elements_text($2::json)))
ORDER BY id DESC LIMIT $3;
