-- Owner, JSON array of words in byte order, so that two transactions never wait for each other both
-- ways.
INSERT INTO index_words (owner_id, word)
SELECT $1, word FROM json_array_elements_text($2::json) AS word
ON CONFLICT DO NOTHING;
