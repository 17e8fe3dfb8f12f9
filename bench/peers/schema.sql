-- What somebody would write who builds this library on PostgreSQL and its own text search: the book
-- beside its chunks, the label in the chunk, a stored tsvector with GIN on it (the index is made
-- after the rows, see bench/shared_data.py).
CREATE SCHEMA peers;

CREATE TABLE peers.books (
    id bigint PRIMARY KEY,
    title text NOT NULL,
    author text NOT NULL,
    source_type text NOT NULL,
    page_kind text NOT NULL,
    tags json NOT NULL,
    metadata json NOT NULL
);

CREATE TABLE peers.chunks (
    id bigint PRIMARY KEY,
    book_id bigint NOT NULL,
    chapter text NOT NULL,
    page_number integer NOT NULL,
    page_label text NOT NULL,
    paragraph integer NOT NULL,
    content text NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED
);
