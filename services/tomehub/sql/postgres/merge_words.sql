-- slow: it rewrites many rows. Owner, the word before, first and last chunk id of the books, words.
-- Joins rows of the next words, under postings_lock: no row that is read here can change meanwhile.
-- Told: the last of the words and how many there were. A joined row keeps below half a page where
-- no single one is longer, so that two of them stand on a page, and none beside the table.
WITH RECURSIVE found (word) AS (
    (SELECT p.word FROM postings AS p
     WHERE p.owner_id = $1 AND p.word > $2 ORDER BY p.word LIMIT 1)
    UNION ALL
    SELECT (SELECT p.word FROM postings AS p
            WHERE p.owner_id = $1 AND p.word > f.word ORDER BY p.word LIMIT 1)
    FROM found AS f WHERE f.word IS NOT NULL
), words AS MATERIALIZED (
    SELECT word FROM found WHERE word IS NOT NULL LIMIT $5
), joined AS MATERIALIZED (
    SELECT of_word.places, of_word.postings
    FROM words AS w
    CROSS JOIN LATERAL (
        SELECT array_agg(p.place ORDER BY p.segment) AS places,
               string_agg(p.postings, ''::bytea ORDER BY p.segment) AS postings
        FROM (SELECT q.ctid AS place, q.segment, q.postings,
                     (sum(length(q.postings)) OVER (ORDER BY q.segment) - 1) / 3800 AS part
              FROM postings AS q
              WHERE q.owner_id = $1 AND q.word = w.word AND q.segment BETWEEN $3 AND $4) AS p
        GROUP BY p.part HAVING count(*) > 1
    ) AS of_word
), gone AS (
    DELETE FROM postings WHERE ctid = ANY (ARRAY(SELECT unnest(places[2:]) FROM joined))
), kept AS (
    UPDATE postings AS p SET postings = j.postings FROM joined AS j WHERE p.ctid = j.places[1]
)
SELECT max(word), count(*) FROM words;
