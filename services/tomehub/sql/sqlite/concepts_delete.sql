-- ?1 book.
DELETE FROM concepts WHERE book_id = ?1;
