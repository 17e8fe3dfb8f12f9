-- The index: which words stand in which chunks. The rows hold words made by our own analysis
-- (letters and digits, separated by blanks), so the plain `ascii` tokenizer only has to cut at
-- blanks.

-- rowid = chunk id. body: the folded form of every word, in order. stems: the stems that differ
-- from their form. heading: forms and stems of the chapter's title. The words alone are kept, not
-- the text.
CREATE VIRTUAL TABLE chunks_fts USING fts5 (
    body, stems, heading,
    content = '', columnsize = 0, tokenize = "ascii tokenchars '.'"
);

-- rowid = book id. Forms, then stems.
CREATE VIRTUAL TABLE books_fts USING fts5 (title, author, tokenize = "ascii tokenchars '.'");

-- How long the chunks are, for ranking: a byte for each, from first_ordinal on (score.h).
CREATE TABLE index_lengths (
    book_id INTEGER NOT NULL,
    first_ordinal INTEGER NOT NULL,
    lengths BLOB NOT NULL,
    PRIMARY KEY (book_id, first_ordinal)
) STRICT, WITHOUT ROWID;

-- The words that were indexed, for spelling.
CREATE TABLE index_words (
    owner_id INTEGER NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (owner_id, word)
) STRICT, WITHOUT ROWID;

-- One row: the analysis the index was made by. No row while it is being made anew.
CREATE TABLE index_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    analysis_version INTEGER NOT NULL
) STRICT;

-- What search asks of all visible books, without reading their rows.
CREATE INDEX books_visible ON books (owner_id, state, id, chunk_count, word_count, language);
