-- slow: it looks at every term of an owner.
-- ?1 owner, ?2 how many.
SELECT c.id, min(c.label), sum(c.count), count(*)
FROM concepts c JOIN books b ON b.id = c.book_id AND b.owner_id = ?1 AND b.state = 'ready'
WHERE c.owner_id = ?1
GROUP BY c.id
ORDER BY count(*) DESC, sum(c.count) DESC, c.id
LIMIT ?2;
