-- Owner, JSON array of words: forgets those that no row holds any more. Under words_lock.
DELETE FROM index_words AS w
WHERE w.owner_id = $1
  AND w.word = ANY (ARRAY(SELECT json_array_elements_text($2::json) COLLATE "C"))
  AND NOT EXISTS (SELECT 1 FROM postings AS p WHERE p.owner_id = $1 AND p.word = w.word);
