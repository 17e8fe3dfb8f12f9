-- slow: common words are megabytes, and a search whose client has left shall stop.
-- Owner, JSON array of words, JSON array of beginnings of words (none of them the beginning of
-- another). First row: the generation. Then each word there is with its postings (postings.h), of
-- all its rows put one behind another. A stem's tag ("b.") is no beginning of a word.
-- Rows are read in the order of the key, so nothing is sorted; what there is none of is not begun.
SELECT o.generation, NULL::text, NULL::bytea FROM owners AS o WHERE o.id = $1
UNION ALL
SELECT NULL, w.word, list.postings
FROM json_array_elements_text($2::json) AS w (word)
CROSS JOIN LATERAL (
    SELECT string_agg(rising.postings, ''::bytea) AS postings
    FROM (SELECT p.postings FROM postings AS p
          WHERE p.owner_id = $1 AND p.word = w.word COLLATE "C" ORDER BY p.segment) AS rising
) AS list
WHERE list.postings IS NOT NULL
UNION ALL
SELECT NULL, list.word, list.postings
FROM json_array_elements_text($3::json) AS beginning
CROSS JOIN LATERAL (
    SELECT rising.word, string_agg(rising.postings, ''::bytea) AS postings
    FROM (SELECT p.word, p.postings FROM postings AS p
          WHERE p.owner_id = $1
            AND p.word >= beginning COLLATE "C" AND p.word < beginning || U&'\+10FFFF' COLLATE "C"
            AND NOT (p.word >= 'a' AND substr(p.word, 2, 1) = '.')
          ORDER BY p.word, p.segment) AS rising
    GROUP BY rising.word
) AS list;
