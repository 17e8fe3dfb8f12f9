-- $1 owner, $2 book, $3 title and $4 author folded.
UPDATE books SET title_sort = $3, author_sort = $4 WHERE owner_id = $1 AND id = $2;
