-- ?1 owner. In each transaction that changes what is visible, behind
-- what it changes: books.changed is this generation.
UPDATE owners SET generation = generation + 1, stamp = random() WHERE id = ?1;
