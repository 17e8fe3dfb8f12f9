-- $1 job, $2 error, $3 now, $4 attempt. Nothing happens when another process has it.
UPDATE jobs
SET status = 'failed', stage = 'failed', instance = NULL, error = $2, finished_at = $3
WHERE id = $1 AND attempt = $4 AND status = 'running';
