-- After keys were put with the numbers they had.
UPDATE key_changes SET last = (SELECT coalesce(max(change), 0) FROM api_keys) WHERE id = 1;
