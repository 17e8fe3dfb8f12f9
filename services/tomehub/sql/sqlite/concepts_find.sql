-- slow: it looks at every term of an owner.
-- ?1 owner, ?2 the folded beginning of a word, or '' for any, ?3 how many.
SELECT c.id, min(c.label), sum(c.count), count(*)
FROM concepts c JOIN books b ON b.id = c.book_id AND b.owner_id = ?1 AND b.state = 'ready'
WHERE c.owner_id = ?1 AND instr(' ' || c.term, ' ' || ?2) > 0
GROUP BY c.id
ORDER BY count(*) DESC, sum(c.count) DESC, c.id
LIMIT ?3;
