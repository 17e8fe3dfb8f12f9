-- Book.
DELETE FROM books_fts WHERE rowid = ?1;
