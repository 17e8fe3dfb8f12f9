-- Book, first ordinal, lengths.
INSERT OR REPLACE INTO index_lengths (book_id, first_ordinal, lengths) VALUES (?1, ?2, ?3);
