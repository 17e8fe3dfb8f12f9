-- $1 book. As concept_insert takes them.
SELECT owner_id, book_id, id, term, label, count FROM concepts WHERE book_id = $1 ORDER BY id;
