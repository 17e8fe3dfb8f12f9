-- Book, words of its title and author.
INSERT INTO index_books (book_id, title_words, author_words) VALUES ($1, $2, $3)
ON CONFLICT (book_id) DO UPDATE
SET title_words = excluded.title_words, author_words = excluded.author_words;
