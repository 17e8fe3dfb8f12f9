-- primary: the index is made of what is found.
-- Books behind $1, of any owner and state, $2 of them.
SELECT id, owner_id, language, title, author FROM books WHERE id > $1 ORDER BY id LIMIT $2;
