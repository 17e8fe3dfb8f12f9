-- Book, ordinal, title, page.
INSERT INTO chapters (book_id, ordinal, title, page_number) VALUES ($1, $2, $3, $4);
