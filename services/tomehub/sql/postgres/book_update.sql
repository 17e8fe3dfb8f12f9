-- $1 owner, $2 book, then the new title, author, source type, tags, metadata, title and author
-- folded (NULL: as it was), $10 now.
UPDATE books
SET title = coalesce($3, title),
    author = coalesce($4, author),
    source_type = coalesce($5, source_type),
    tags = coalesce($6, tags),
    metadata = coalesce($7, metadata),
    title_sort = coalesce($8, title_sort),
    author_sort = coalesce($9, author_sort),
    updated_at = $10,
    changed = (SELECT generation FROM owners WHERE id = $1) + 1
WHERE owner_id = $1 AND id = $2 AND state = 'ready'
RETURNING title, author;
