-- Owner. For tag: and type:.
SELECT id, source_type, tags FROM books WHERE owner_id = ?1 AND state = 'ready' ORDER BY id;
