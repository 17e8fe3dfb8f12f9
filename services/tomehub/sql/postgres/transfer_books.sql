-- $1 the last id seen, $2 rows. Of any owner.
SELECT id, owner_id, title, author, source_type, language, tags, metadata, page_kind, page_count,
       chunk_count, word_count, content_hash, file_name, byte_size, title_sort, author_sort,
       created_at, updated_at
FROM books WHERE state = 'ready' AND id > $1 ORDER BY id LIMIT $2;
