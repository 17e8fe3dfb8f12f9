-- JSON array of chunk ids; in their order.
SELECT b.title FROM json_each(?1) AS wanted JOIN books AS b ON b.id = wanted.value >> 20
ORDER BY wanted.key;
