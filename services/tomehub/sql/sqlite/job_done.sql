-- ?1 job, ?2 title, ?3 pages, ?4 chunks, ?5 now.
UPDATE jobs
SET status = 'done', stage = 'done', instance = NULL, title = ?2, percent = 100, pages = ?3,
    chunks = ?4, finished_at = ?5
WHERE id = ?1;
