-- ?1 job, ?2 percent, ?3 pages, ?4 chunks so far, ?5 attempt. Nothing happens when another process
-- has it.
UPDATE jobs SET stage = 'index', percent = ?2, pages = ?3, chunks = ?4
WHERE id = ?1 AND attempt = ?5 AND status = 'running';
