-- Id, owner, book, chapter, page, last page, page breaks, paragraph, overlap, words, content.
INSERT INTO chunks (id, owner_id, book_id, chapter, page_number, page_end, page_breaks, paragraph,
                    overlap, word_count, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11);
