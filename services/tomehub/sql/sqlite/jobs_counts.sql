-- For health and metrics.
SELECT coalesce(sum(status = 'queued'), 0), coalesce(sum(status = 'running'), 0), min(created_at)
FROM jobs WHERE instance IS NOT NULL;
