-- Owner, word.
INSERT OR IGNORE INTO index_words (owner_id, word) VALUES (?1, ?2);
