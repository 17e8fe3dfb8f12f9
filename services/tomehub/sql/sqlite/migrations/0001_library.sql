-- The library: books, what they are made of, and the jobs that take them in.
-- Times are microseconds since 1970-01-01 UTC. A book is visible only while its state is 'ready'.
CREATE TABLE owners (
    id INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL DEFAULT 0 -- rises with every change of what is visible
) STRICT;

INSERT INTO owners (id) VALUES (1);

CREATE TABLE books (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    state TEXT NOT NULL CHECK (state IN ('loading', 'ready', 'purging')),
    title TEXT NOT NULL,
    author TEXT NOT NULL DEFAULT '',
    source_type TEXT NOT NULL CHECK (source_type IN ('BOOK', 'ARTICLE', 'NOTE', 'HIGHLIGHT')),
    language TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '[]', -- JSON array of strings
    metadata TEXT NOT NULL DEFAULT '{}', -- JSON object
    page_kind TEXT NOT NULL DEFAULT 'section' CHECK (page_kind IN ('page', 'list', 'section')),
    page_count INTEGER NOT NULL DEFAULT 0,
    chunk_count INTEGER NOT NULL DEFAULT 0,
    word_count INTEGER NOT NULL DEFAULT 0,
    content_hash BLOB NOT NULL, -- SHA-256
    file_name TEXT NOT NULL DEFAULT '',
    byte_size INTEGER NOT NULL DEFAULT 0,
    title_sort TEXT NOT NULL DEFAULT '', -- folded, for order and look-up
    author_sort TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX books_by_content ON books (owner_id, content_hash) WHERE state = 'ready';
CREATE INDEX books_by_age ON books (owner_id, state, id);
CREATE INDEX books_by_title ON books (owner_id, state, title_sort, id);
CREATE INDEX books_by_author ON books (owner_id, state, author_sort, title_sort, id);
CREATE INDEX books_purging ON books (id) WHERE state = 'purging';

CREATE TABLE chapters (
    book_id INTEGER NOT NULL REFERENCES books (id),
    ordinal INTEGER NOT NULL, -- from 0, in reading order
    title TEXT NOT NULL,
    page_number INTEGER NOT NULL,
    PRIMARY KEY (book_id, ordinal)
) STRICT, WITHOUT ROWID;

-- Only pages whose printed label differs from their number.
CREATE TABLE page_labels (
    book_id INTEGER NOT NULL REFERENCES books (id),
    number INTEGER NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (book_id, number)
) STRICT, WITHOUT ROWID;

-- id = book_id << 20 | ordinal: a book's chunks are one run of row ids, in reading order. (No
-- foreign key to books: it would need an index that says what the id says already.)
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    book_id INTEGER NOT NULL,
    chapter TEXT NOT NULL DEFAULT '',
    page_number INTEGER NOT NULL, -- where the chunk begins
    page_end INTEGER NOT NULL, -- where it ends
    page_breaks TEXT, -- 'byte offset:page,…' where a new page begins inside; NULL when none does
    paragraph INTEGER NOT NULL,
    overlap INTEGER NOT NULL DEFAULT 0, -- bytes at the front repeated from the chunk before
    word_count INTEGER NOT NULL,
    content TEXT NOT NULL
) STRICT;

-- One row a file or document to take in. book_id is reserved with the job, by a 'loading' book. A
-- job that is queued or running belongs to one process, its instance, which holds a lock as long as
-- it lives; what a dead one leaves is taken over.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed')),
    stage TEXT NOT NULL CHECK (stage IN ('queued', 'extract', 'index', 'finish', 'done', 'failed')),
    instance INTEGER CHECK ((instance IS NOT NULL) = (status IN ('queued', 'running'))),
    attempt INTEGER NOT NULL DEFAULT 0,
    book_id INTEGER NOT NULL,
    replaces INTEGER, -- the book this one takes the place of
    input TEXT NOT NULL, -- absolute path of the file to read
    input_kind TEXT NOT NULL CHECK (input_kind IN ('upload', 'document', 'path')),
    content_hash BLOB NOT NULL,
    file_name TEXT NOT NULL DEFAULT '',
    title TEXT NOT NULL DEFAULT '', -- '' until the file has told it
    percent INTEGER NOT NULL DEFAULT 0,
    pages INTEGER NOT NULL DEFAULT 0,
    chunks INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
) STRICT;

CREATE INDEX jobs_live ON jobs (instance, status, id) WHERE instance IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_content ON jobs (owner_id, content_hash) WHERE instance IS NOT NULL;
