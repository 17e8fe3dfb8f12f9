-- Book.
SELECT title, author, source_type, tags FROM books WHERE id = ?1;
