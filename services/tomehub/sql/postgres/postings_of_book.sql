-- slow: common words are megabytes. Owner, JSON array of words, first and last chunk id of a book:
-- the rows of these words in which it may stand. They rise, so before the book's own it can only be
-- the last one.
SELECT p.word, p.segment, p.postings
FROM json_array_elements_text($2::json) AS wanted
CROSS JOIN LATERAL (
    SELECT q.word, q.segment, q.postings
    FROM postings AS q
    WHERE q.owner_id = $1 AND q.word = wanted COLLATE "C" AND q.segment <= $4
      AND q.segment >= coalesce((SELECT max(b.segment) FROM postings AS b
                                 WHERE b.owner_id = $1 AND b.word = wanted COLLATE "C"
                                   AND b.segment <= $3), $3)
) AS p;
