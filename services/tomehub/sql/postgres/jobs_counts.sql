-- For health and metrics.
SELECT count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE status = 'running'),
       min(created_at)
FROM jobs WHERE instance IS NOT NULL;
