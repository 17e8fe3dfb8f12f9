-- What FTS5 gathers in memory before it writes a segment, in bytes: a transaction of the ingest
-- then makes one segment, where 1 MiB made several that had to be merged.
INSERT INTO chunks_fts (chunks_fts, rank) VALUES ('hashsize', 4194304);
