-- $1 book.
DELETE FROM relations WHERE book_id = $1;
