-- primary: all else of a search is measured by it; asked once for each change.
-- Owner. The generation with each visible book (a row of NULLs but for it where there is none).
SELECT b.id, b.chunk_count, b.word_count, b.language, b.title, b.author, b.source_type, b.tags,
       b.title_sort, b.created_at, i.title_words, i.author_words, b.page_kind, b.metadata,
       EXISTS (SELECT FROM page_labels AS l WHERE l.book_id = b.id), o.generation
FROM owners AS o
LEFT JOIN books AS b ON b.owner_id = o.id AND b.state = 'ready'
LEFT JOIN index_books AS i ON i.book_id = b.id
WHERE o.id = $1
ORDER BY b.id;
