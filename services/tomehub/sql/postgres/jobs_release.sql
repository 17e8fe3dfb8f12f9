-- $1 this process, which is leaving: what it had begun goes back to the queue, as if never taken up
-- (its rows are purged before the next attempt, so that attempt counts from 2).
UPDATE jobs SET status = 'queued', stage = 'queued', attempt = greatest(attempt - 1, 1)
WHERE instance = $1 AND status = 'running';
