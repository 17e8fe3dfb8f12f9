-- Book, owner.
SELECT title, author, source_type, tags FROM books WHERE id = ?1 AND owner_id = ?2;
