-- Whether nothing was ever put here.
SELECT NOT EXISTS (SELECT 1 FROM books) AND NOT EXISTS (SELECT 1 FROM jobs)
   AND NOT EXISTS (SELECT 1 FROM api_keys);
