-- slow: it waits for writers. Ids below the newest one's are given by transactions that have ended.
-- Not had within lock_timeout, it is left without an error: nothing is wrong with the database.
DO 'BEGIN
    LOCK TABLE books IN SHARE MODE;
EXCEPTION WHEN lock_not_available THEN
    NULL;
END';
