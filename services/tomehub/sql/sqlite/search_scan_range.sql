-- FTS5 query, scan, first and last chunk.
SELECT 1 FROM chunks_fts
WHERE chunks_fts MATCH ?1 AND rowid BETWEEN ?3 AND ?4 AND tome_collect(chunks_fts, ?2);
