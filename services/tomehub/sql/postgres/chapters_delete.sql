-- $1 book.
DELETE FROM chapters WHERE book_id = $1;
