-- Owner. From an index alone (books_visible).
SELECT id, chunk_count, word_count, language FROM books
WHERE owner_id = ?1 AND state = 'ready' ORDER BY id;
