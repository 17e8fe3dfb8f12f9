-- First and last book, owner and word, while books are being merged and nobody else is at it.
SELECT first_book, last_book, owner_id, word FROM index_merging
WHERE last_book IS NOT NULL FOR UPDATE SKIP LOCKED;
