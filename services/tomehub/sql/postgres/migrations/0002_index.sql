-- The index: which words stand in which chunks, in words made by our own analysis.

-- A row for each word of a batch of chunks; segment: the first chunk of the batch. Postings say
-- where the word stands (postings.h). Owner first: one owner's words are never another's.
CREATE TABLE postings (
    owner_id bigint NOT NULL,
    word text COLLATE "C" NOT NULL,
    segment bigint NOT NULL,
    postings bytea NOT NULL,
    PRIMARY KEY (owner_id, word, segment)
) WITH (toast_tuple_target = 8160);

-- Compact as they are: not compressed, and read where the row is unless they are too long.
ALTER TABLE postings ALTER COLUMN postings SET STORAGE EXTERNAL;

-- Forms, then stems.
CREATE TABLE index_books (
    book_id bigint PRIMARY KEY,
    title_words text NOT NULL,
    author_words text NOT NULL
);

-- How long the chunks are, for ranking: a byte for each, from first_ordinal on (score.h).
CREATE TABLE index_lengths (
    book_id bigint NOT NULL,
    first_ordinal bigint NOT NULL,
    lengths bytea NOT NULL,
    PRIMARY KEY (book_id, first_ordinal)
);
ALTER TABLE index_lengths ALTER COLUMN lengths SET STORAGE EXTERNAL;

-- The words that were indexed, for spelling.
CREATE TABLE index_words (
    owner_id bigint NOT NULL,
    word text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, word)
);

-- One row: the analysis the index was made by. No row while it is being made anew.
CREATE TABLE index_state (
    id bigint PRIMARY KEY CHECK (id = 1),
    analysis_version bigint NOT NULL
);
