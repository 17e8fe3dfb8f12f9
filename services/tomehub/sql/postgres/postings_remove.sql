-- Owner, JSON array of words, JSON array of segments: a row for each pair.
DELETE FROM postings AS p
USING ROWS FROM (json_array_elements_text($2::json),
                 json_array_elements_text($3::json)) AS gone (word, segment)
WHERE p.owner_id = $1 AND p.word = gone.word COLLATE "C" AND p.segment = gone.segment::bigint;
