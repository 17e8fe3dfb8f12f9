-- ?1 job, ?2 error, ?3 now.
UPDATE jobs
SET status = 'failed', stage = 'failed', instance = NULL, error = ?2, finished_at = ?3
WHERE id = ?1;
