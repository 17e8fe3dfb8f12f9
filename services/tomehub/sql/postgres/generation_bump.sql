-- $1 owner. In each transaction that changes what is visible, behind
-- what it changes: books.changed is this generation.
UPDATE owners SET generation = generation + 1, stamp = (random() * 9007199254740991)::bigint
WHERE id = $1;
