-- Key terms of books, and which of them share chunks. A term has the same id in every book.
CREATE TABLE concepts (
    owner_id bigint NOT NULL REFERENCES owners (id),
    book_id bigint NOT NULL REFERENCES books (id),
    id bigint NOT NULL, -- a hash of the term's stems
    term text NOT NULL, -- folded, for look-up
    label text NOT NULL, -- as the book writes it
    count bigint NOT NULL, -- occurrences in the book
    PRIMARY KEY (book_id, id)
);
CREATE INDEX concepts_by_id ON concepts (owner_id, id);

-- Both ways: (id, other_id) and (other_id, id).
CREATE TABLE relations (
    owner_id bigint NOT NULL REFERENCES owners (id),
    book_id bigint NOT NULL REFERENCES books (id),
    id bigint NOT NULL,
    other_id bigint NOT NULL,
    count bigint NOT NULL, -- chunks of the book that hold both
    PRIMARY KEY (book_id, id, other_id)
);
CREATE INDEX relations_by_id ON relations (owner_id, id);
