-- FTS5 query. Which books' titles (bit 0) or authors (bit 1) match.
SELECT rowid, tome_columns(books_fts) FROM books_fts WHERE books_fts MATCH ?1;
