-- Owner, word, segment, postings (see postings.h).
UPDATE postings SET postings = $4 WHERE owner_id = $1 AND word = $2 AND segment = $3;
