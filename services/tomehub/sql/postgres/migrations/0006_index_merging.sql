-- Rows of neighbouring books become one row of each word (docs/decisions/010-…). One row: how far
-- that is.
CREATE TABLE index_merging (
    id bigint PRIMARY KEY CHECK (id = 1),
    first_book bigint NOT NULL, -- rows of books before it are merged
    last_book bigint, -- those of first_book to last_book are being merged; NULL: none are
    owner_id bigint, -- whose rows are at hand
    word text COLLATE "C" NOT NULL DEFAULT '', -- the last one of theirs that is done
    -- So many books, or books with so many chunks, are merged at a time.
    books_wanted bigint NOT NULL CHECK (books_wanted > 0),
    chunks_wanted bigint NOT NULL CHECK (chunks_wanted > 0)
);
INSERT INTO index_merging (id, first_book, books_wanted, chunks_wanted) VALUES (1, 1, 1024, 16384);
