-- On to the next owner of the books; after the last one they are merged.
UPDATE index_merging AS m
SET word = '', owner_id = next.owner_id,
    first_book = CASE WHEN next.owner_id IS NULL THEN m.last_book + 1 ELSE m.first_book END,
    last_book = CASE WHEN next.owner_id IS NULL THEN NULL ELSE m.last_book END
FROM (SELECT min(b.owner_id) AS owner_id
      FROM books AS b JOIN index_merging AS at ON b.id BETWEEN at.first_book AND at.last_book
      WHERE b.owner_id > at.owner_id) AS next;
