-- Book.
DELETE FROM index_lengths WHERE book_id = $1;
