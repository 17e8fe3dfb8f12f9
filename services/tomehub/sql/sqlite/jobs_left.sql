-- ?1 a process that has died, ?2 how many at most. Its jobs, oldest first.
SELECT id, input, created_at FROM jobs WHERE instance = ?1 ORDER BY id LIMIT ?2;
