-- Only the newest $1 jobs are remembered; those not finished always.
DELETE FROM jobs
WHERE instance IS NULL AND id <= (SELECT max(id) FROM jobs) - $1;
