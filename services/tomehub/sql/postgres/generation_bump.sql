-- $1 owner. In each transaction that changes what is visible.
UPDATE owners SET generation = generation + 1 WHERE id = $1;
