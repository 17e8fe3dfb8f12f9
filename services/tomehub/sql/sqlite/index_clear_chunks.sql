INSERT INTO chunks_fts (chunks_fts) VALUES ('delete-all');
