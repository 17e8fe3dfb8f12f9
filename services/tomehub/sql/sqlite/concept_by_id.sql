-- ?1 owner, ?2 concept.
SELECT c.id, min(c.label), sum(c.count), count(*)
FROM concepts c JOIN books b ON b.id = c.book_id AND b.owner_id = ?1 AND b.state = 'ready'
WHERE c.owner_id = ?1 AND c.id = ?2
GROUP BY c.id;
