-- primary: what is decided by it cannot be taken back.
-- $1 JSON array of paths. Those that are still needed.
SELECT input FROM jobs
WHERE instance IS NOT NULL AND input IN (SELECT json_array_elements_text($1::json));
