-- ?1 owner, ?2 folded text to be found in title or author ('': all).
SELECT count(*) FROM books
WHERE owner_id = ?1 AND state = 'ready'
  AND (?2 = '' OR instr(title_sort, ?2) > 0 OR instr(author_sort, ?2) > 0);
