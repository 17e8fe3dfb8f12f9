-- The highest id a book was given.
SELECT seq FROM sqlite_sequence WHERE name = 'books';
