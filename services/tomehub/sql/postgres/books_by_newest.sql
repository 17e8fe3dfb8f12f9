-- $1 owner, $2 folded text to be found in title or author ('': all), $3 rows, $4 rows to skip.
-- The page is found in the index alone; only its rows are read.
SELECT b.id, b.title, b.author, b.source_type, b.language, b.tags, b.metadata, b.page_kind,
       b.page_count, b.chunk_count, b.word_count, b.file_name, b.byte_size, b.created_at,
       b.updated_at
FROM books b
WHERE b.id IN (SELECT id FROM books
               WHERE owner_id = $1 AND state = 'ready'
                 AND ($2 = '' OR strpos(title_sort, $2) > 0 OR strpos(author_sort, $2) > 0)
               ORDER BY id DESC LIMIT $3 OFFSET $4)
ORDER BY b.id DESC;
