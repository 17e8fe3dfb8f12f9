-- $1 words. The best 50 of all matches, each with the number of all.
WITH best AS (
    SELECT c.id, ts_rank_cd(c.words, query)::float8 AS score, count(*) OVER () AS total
    FROM peers.chunks c, plainto_tsquery('english', $1) AS query
    WHERE c.words @@ query
    ORDER BY score DESC, c.id
    LIMIT 50
)
SELECT c.id, c.book_id, b.title, b.author, b.source_type, c.chapter, c.page_number, c.page_label,
       b.page_kind, c.paragraph, c.content, b.tags, b.metadata, best.score, best.total
FROM best
JOIN peers.chunks c ON c.id = best.id
JOIN peers.books b ON b.id = c.book_id
ORDER BY best.score DESC, c.id;
