-- ?1 book. As page_label_insert takes them.
SELECT book_id, number, label FROM page_labels WHERE book_id = ?1 ORDER BY number;
