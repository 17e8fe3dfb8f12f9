-- ?1 owner, ?2 the folded beginning of a word, ?3 how many. Each part is one range of one index.
SELECT found.id, min(found.label), sum(found.count), count(*)
FROM (
    SELECT book_id, id, label, count FROM concepts
    WHERE owner_id = ?1 AND term >= ?2 AND term < ?2 || char(0x10FFFF)
    UNION
    SELECT book_id, id, label, count FROM concepts
    WHERE owner_id = ?1 AND from_second >= ?2 AND from_second < ?2 || char(0x10FFFF)
    UNION
    SELECT book_id, id, label, count FROM concepts
    WHERE owner_id = ?1 AND from_third >= ?2 AND from_third < ?2 || char(0x10FFFF)
) AS found
JOIN books b ON b.id = found.book_id AND b.owner_id = ?1 AND b.state = 'ready'
GROUP BY found.id
ORDER BY count(*) DESC, sum(found.count) DESC, found.id
LIMIT ?3;
