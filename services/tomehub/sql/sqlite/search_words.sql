-- Owner, first word, the word behind the last.
SELECT word FROM index_words WHERE owner_id = ?1 AND word >= ?2 AND word < ?3;
