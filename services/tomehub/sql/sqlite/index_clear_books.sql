DELETE FROM books_fts;
