-- $1 owner, $2 folded text to be found in title or author ('': all).
SELECT count(*) FROM books
WHERE owner_id = $1 AND state = 'ready'
  AND ($2 = '' OR strpos(title_sort, $2) > 0 OR strpos(author_sort, $2) > 0);
