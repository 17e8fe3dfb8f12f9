-- FTS5 query. The chunks it finds, of all books.
SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?1;
