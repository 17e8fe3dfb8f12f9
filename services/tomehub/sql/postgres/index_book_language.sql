-- Owner, book.
SELECT language FROM books WHERE owner_id = $1 AND id = $2;
