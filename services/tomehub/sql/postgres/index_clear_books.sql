TRUNCATE index_books;
