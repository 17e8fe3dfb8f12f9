-- primary: what is decided by it cannot be taken back.
-- The processes that hold jobs.
SELECT DISTINCT instance FROM jobs WHERE instance IS NOT NULL;
