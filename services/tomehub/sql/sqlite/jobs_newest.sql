-- ?1 owner, ?2 JSON array of statuses (NULL: all), ?3 rows.
SELECT id, book_id, status, stage, file_name, title, percent, pages, chunks, error, created_at,
       finished_at
FROM jobs
WHERE owner_id = ?1 AND (?2 IS NULL OR status IN (SELECT value FROM json_each(?2)))
ORDER BY id DESC LIMIT ?3;
