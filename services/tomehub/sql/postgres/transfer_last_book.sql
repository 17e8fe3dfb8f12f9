-- The highest id a book was given.
SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('books', 'id')::regclass), 0);
