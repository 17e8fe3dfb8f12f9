-- $1 book. As relation_insert takes them.
SELECT owner_id, book_id, id, other_id, count
FROM relations WHERE book_id = $1 ORDER BY id, other_id;
