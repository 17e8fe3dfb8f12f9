-- Rises with every removal from index_words: what a process remembers to be in there is then void.
-- No row: 0.
CREATE TABLE word_generations (
    owner_id bigint PRIMARY KEY REFERENCES owners (id),
    generation bigint NOT NULL
);
