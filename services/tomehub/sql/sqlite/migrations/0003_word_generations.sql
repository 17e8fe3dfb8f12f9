-- Rises with every removal from index_words: what a process remembers to be in there is then void.
-- No row: 0.
CREATE TABLE word_generations (
    owner_id INTEGER PRIMARY KEY REFERENCES owners (id),
    generation INTEGER NOT NULL
) STRICT;
