-- Owner, word, segment (the batch's first chunk), postings (see postings.h).
COPY postings (owner_id, word, segment, postings) FROM STDIN (FORMAT binary);
