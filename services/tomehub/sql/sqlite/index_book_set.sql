-- Book, words of its title and author.
INSERT OR REPLACE INTO books_fts (rowid, title, author) VALUES (?1, ?2, ?3);
