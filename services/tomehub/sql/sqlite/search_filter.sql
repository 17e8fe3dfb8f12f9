-- Owner, then JSON arrays or NULL: book ids, source types, authors, tags.
SELECT id FROM books
WHERE owner_id = ?1 AND state = 'ready'
  AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2)))
  AND (?3 IS NULL OR source_type IN (SELECT value FROM json_each(?3)))
  AND (?4 IS NULL OR author IN (SELECT value FROM json_each(?4)))
  AND (?5 IS NULL OR EXISTS (SELECT 1 FROM json_each(books.tags) AS tag
                             WHERE tag.value IN (SELECT value FROM json_each(?5))))
ORDER BY id;
