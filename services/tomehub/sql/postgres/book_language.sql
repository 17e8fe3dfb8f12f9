-- $1 book, $2 language. Set with the first chunks: their words were stemmed by it.
UPDATE books SET language = $2 WHERE id = $1;
