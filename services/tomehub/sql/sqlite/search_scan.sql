-- FTS5 query, scan. Every row goes through tome_collect (search_scan.c); nothing comes out.
SELECT count(tome_collect(chunks_fts, ?2)) FROM chunks_fts WHERE chunks_fts MATCH ?1;
