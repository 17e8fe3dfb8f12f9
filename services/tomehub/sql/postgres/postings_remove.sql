-- Owner, JSON array of words, first and last chunk id of a book nobody sees any more.
DELETE FROM postings
WHERE owner_id = $1
  AND word = ANY (ARRAY(SELECT json_array_elements_text($2::json) COLLATE "C"))
  AND segment BETWEEN $3 AND $4;
