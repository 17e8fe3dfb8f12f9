-- FTS5 query, scan. Every row goes through tome_collect (search_scan.c), which is never true: no
-- row comes out.
SELECT 1 FROM chunks_fts WHERE chunks_fts MATCH ?1 AND tome_collect(chunks_fts, ?2);
