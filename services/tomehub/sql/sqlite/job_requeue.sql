-- ?1 job. Back to the queue: the process is leaving.
UPDATE jobs SET status = 'queued', stage = 'queued', attempt = attempt - 1
WHERE id = ?1 AND status = 'running';
