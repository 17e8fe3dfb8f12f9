-- The highest id a book was given elsewhere: later ones are higher.
UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'books';
