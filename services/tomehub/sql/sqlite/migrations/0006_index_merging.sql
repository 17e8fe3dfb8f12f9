-- Only PostgreSQL's index has rows that are to be joined; FTS5 does so by itself.
SELECT 1;
