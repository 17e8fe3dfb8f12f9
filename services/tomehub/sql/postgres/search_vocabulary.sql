-- Owner, first letter, the least and the most letters, rows. First row: the generation; then words.
SELECT o.generation, NULL::text FROM owners AS o WHERE o.id = $1
UNION ALL
(SELECT NULL, w.word
 FROM index_words AS w
 WHERE w.owner_id = $1
   AND w.word >= $2 COLLATE "C" AND w.word < $2 || U&'\+10FFFF' COLLATE "C"
   AND char_length(w.word) BETWEEN $3 AND $4
 ORDER BY w.word LIMIT $5);
