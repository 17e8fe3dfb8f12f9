-- Chunk and the words it was added with.
INSERT INTO chunks_fts (chunks_fts, rowid, body, stems, heading) VALUES ('delete', ?1, ?2, ?3, ?4);
