-- Book, first ordinal, lengths.
INSERT INTO index_lengths (book_id, first_ordinal, lengths) VALUES ($1, $2, $3)
ON CONFLICT (book_id, first_ordinal) DO UPDATE SET lengths = excluded.lengths;
