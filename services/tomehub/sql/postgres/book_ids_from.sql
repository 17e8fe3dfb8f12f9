-- The highest id a book was given elsewhere: later ones are higher.
SELECT setval(pg_get_serial_sequence('books', 'id'), greatest($1::bigint, 1));
