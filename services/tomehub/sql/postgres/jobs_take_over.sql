-- $1 this process, $2 one that has died.
UPDATE jobs SET instance = $1, status = 'queued', stage = 'queued'
WHERE instance = $2;
