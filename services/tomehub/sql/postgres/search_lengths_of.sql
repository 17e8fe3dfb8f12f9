-- primary: all else of a search is measured by it; asked once for each change.
-- Owner. Of the visible books' chunks. (Lengths of a book never change.)
SELECT l.book_id, l.first_ordinal, l.lengths
FROM books AS b JOIN index_lengths AS l ON l.book_id = b.id
WHERE b.owner_id = $1 AND b.state = 'ready';
