-- Owner, word, the word as a query: forgets it when no chunk holds it any more.
DELETE FROM index_words
WHERE owner_id = ?1 AND word = ?2
  AND NOT EXISTS (SELECT 1 FROM chunks_fts WHERE chunks_fts MATCH ?3);
