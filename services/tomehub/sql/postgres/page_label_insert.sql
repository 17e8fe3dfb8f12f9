-- Book, page, label.
INSERT INTO page_labels (book_id, number, label) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING;
