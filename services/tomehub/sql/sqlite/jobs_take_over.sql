-- ?1 this process, ?2 one that has died, ?3 JSON array of jobs.
UPDATE jobs SET instance = ?1, status = 'queued', stage = 'queued'
WHERE instance = ?2 AND id IN (SELECT value FROM json_each(?3));
