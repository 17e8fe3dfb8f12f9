-- JSON array of chunk ids, owner; in their order.
SELECT b.title FROM json_each(?1) AS wanted JOIN books AS b ON b.id = wanted.value >> 20
WHERE b.owner_id = ?2
ORDER BY wanted.key;
