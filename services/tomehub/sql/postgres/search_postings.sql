-- slow: common words are megabytes, and a search whose client has left shall stop.
-- Owner, JSON array of words, JSON array of beginnings of words (none of them the beginning of
-- another). First row: the generation. Then each word there is with its postings (postings.h), of
-- all its rows put one behind another. A stem's tag ("b.") is no beginning of a word.
SELECT o.generation, NULL::text, NULL::bytea FROM owners AS o WHERE o.id = $1
UNION ALL
SELECT NULL, p.word, string_agg(p.postings, ''::bytea ORDER BY p.segment)
FROM postings AS p
WHERE p.owner_id = $1
  AND p.word = ANY (ARRAY(SELECT json_array_elements_text($2::json) COLLATE "C"))
GROUP BY p.word
UNION ALL
SELECT NULL, p.word, string_agg(p.postings, ''::bytea ORDER BY p.segment)
FROM json_array_elements_text($3::json) AS beginning
JOIN postings AS p
  ON p.owner_id = $1
 AND p.word >= beginning COLLATE "C" AND p.word < beginning || U&'\+10FFFF' COLLATE "C"
 AND NOT (p.word >= 'a' AND substr(p.word, 2, 1) = '.')
GROUP BY p.word;
