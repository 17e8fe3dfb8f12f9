-- The one step that makes a book visible. ?1 owner, ?2 book, ?3 title and ?4 author as the file has
-- them (used where none was given), ?5 page kind, ?6 pages, ?7 chunks, ?8 words, ?9 tags as the
-- file has them, ?10 now.
UPDATE books
SET state = 'ready',
    title = CASE title WHEN '' THEN ?3 ELSE title END,
    author = CASE author WHEN '' THEN ?4 ELSE author END,
    tags = CASE tags WHEN '[]' THEN ?9 ELSE tags END,
    page_kind = ?5, page_count = ?6, chunk_count = ?7, word_count = ?8,
    updated_at = ?10,
    changed = (SELECT generation FROM owners WHERE id = ?1) + 1
WHERE owner_id = ?1 AND id = ?2 AND state = 'loading'
RETURNING title, author;
