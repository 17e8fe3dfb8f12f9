-- Owner, book, id, other id, count.
INSERT INTO relations (owner_id, book_id, id, other_id, count) VALUES ($1, $2, $3, $4, $5);
