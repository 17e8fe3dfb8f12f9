-- $1 owner, $2 the last id seen, $3 rows. For walking the whole library.
SELECT b.id, b.title, b.author, b.source_type, b.language, b.tags, b.metadata, b.page_kind,
       b.page_count, b.chunk_count, b.word_count, b.file_name, b.byte_size, b.created_at,
       b.updated_at
FROM books b
WHERE b.owner_id = $1 AND b.state = 'ready' AND b.id > $2
ORDER BY b.id LIMIT $3;
