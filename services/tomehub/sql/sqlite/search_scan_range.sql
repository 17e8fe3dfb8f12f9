-- FTS5 query, scan, first and last chunk.
SELECT count(tome_collect(chunks_fts, ?2)) FROM chunks_fts
WHERE chunks_fts MATCH ?1 AND rowid BETWEEN ?3 AND ?4;
