-- The number of the change at hand.
UPDATE key_changes SET last = last + 1 WHERE id = 1 RETURNING last;
