-- $1 owner, $2 book.
SELECT c.title, c.page_number
FROM books b JOIN chapters c ON c.book_id = b.id
WHERE b.owner_id = $1 AND b.id = $2 AND b.state = 'ready'
ORDER BY c.ordinal;
