-- Key terms of books, and which of them share chunks. A term has the same id in every book.
CREATE TABLE concepts (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    book_id INTEGER NOT NULL REFERENCES books (id),
    id INTEGER NOT NULL, -- a hash of the term's stems
    term TEXT NOT NULL, -- folded, for look-up
    label TEXT NOT NULL, -- as the book writes it
    count INTEGER NOT NULL, -- occurrences in the book
    PRIMARY KEY (book_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX concepts_by_id ON concepts (owner_id, id);

-- Both ways: (id, other_id) and (other_id, id).
CREATE TABLE relations (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    book_id INTEGER NOT NULL REFERENCES books (id),
    id INTEGER NOT NULL,
    other_id INTEGER NOT NULL,
    count INTEGER NOT NULL, -- chunks of the book that hold both
    PRIMARY KEY (book_id, id, other_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX relations_by_id ON relations (owner_id, id);
