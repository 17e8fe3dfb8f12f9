-- Book.
DELETE FROM index_books WHERE book_id = $1;
