-- SQLite's alone.
SELECT 1;
