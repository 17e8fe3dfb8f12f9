-- Owner, book, id, term, label, count.
INSERT INTO concepts (owner_id, book_id, id, term, label, count)
VALUES ($1, $2, $3, $4, $5, $6);
