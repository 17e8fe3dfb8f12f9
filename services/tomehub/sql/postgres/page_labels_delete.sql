-- $1 book.
DELETE FROM page_labels WHERE book_id = $1;
