-- Book.
SELECT first_ordinal, lengths FROM index_lengths WHERE book_id = ?1 ORDER BY first_ordinal;
