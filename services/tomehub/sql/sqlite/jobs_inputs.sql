-- ?1 JSON array of paths. Those that are still needed.
SELECT input FROM jobs WHERE instance IS NOT NULL AND input IN (SELECT value FROM json_each(?1));
