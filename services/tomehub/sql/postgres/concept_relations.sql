-- $1 owner, $2 concept, $3 how many.
SELECT c.id, min(c.label), sum(r.count)::bigint, count(*)
FROM relations r
JOIN books b ON b.id = r.book_id AND b.owner_id = $1 AND b.state = 'ready'
JOIN concepts c ON c.book_id = r.book_id AND c.id = r.other_id
WHERE r.owner_id = $1 AND r.id = $2
GROUP BY c.id
ORDER BY sum(r.count) DESC, c.id
LIMIT $3;
