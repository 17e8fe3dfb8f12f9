-- $1 owner, $2 concept, $3 how many.
SELECT c.id, min(c.label), sum(r.count)::bigint, count(*)
FROM concepts asked
JOIN books b ON b.id = asked.book_id AND b.owner_id = $1 AND b.state = 'ready'
JOIN relations r ON r.book_id = asked.book_id AND r.id = asked.id
JOIN concepts c ON c.book_id = r.book_id AND c.id = r.other_id
WHERE asked.owner_id = $1 AND asked.id = $2
GROUP BY c.id
ORDER BY sum(r.count) DESC, c.id
LIMIT $3;
