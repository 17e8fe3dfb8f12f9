DELETE FROM index_words;
