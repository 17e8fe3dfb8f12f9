-- Owner, JSON array of words. Under words_lock.
INSERT INTO index_words (owner_id, word)
SELECT $1::bigint, word FROM json_array_elements_text($2::json) AS word
ON CONFLICT DO NOTHING;
