-- Chunk, body, stems, heading (words, see 0002_index.sql).
INSERT INTO chunks_fts (rowid, body, stems, heading) VALUES (?1, ?2, ?3, ?4);
