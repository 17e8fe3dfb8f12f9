-- ?1 book. As chapter_insert takes them.
SELECT book_id, ordinal, title, page_number FROM chapters WHERE book_id = ?1 ORDER BY ordinal;
