-- ?1 job, ?2 title, ?3 pages, ?4 chunks, ?5 now, ?6 attempt.
-- Nothing happens when another process has it.
UPDATE jobs
SET status = 'done', stage = 'done', instance = NULL, title = ?2, percent = 100, pages = ?3,
    chunks = ?4, finished_at = ?5
WHERE id = ?1 AND attempt = ?6 AND status = 'running';
