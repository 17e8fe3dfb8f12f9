-- primary: what another server has just committed counts.
-- $1 owner, $2 generation, $3 rows: the state now, and the books changed since (or one row of
-- NULLs but for it).
SELECT o.generation, b.id, b.changed, o.stamp
FROM owners o LEFT JOIN books b ON b.owner_id = o.id AND b.changed > $2
WHERE o.id = $1
LIMIT $3;
