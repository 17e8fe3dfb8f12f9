-- $1 owner. In each transaction that changes what is visible, behind
-- what it changes: books.changed is this generation.
UPDATE owners SET generation = generation + 1 WHERE id = $1;
