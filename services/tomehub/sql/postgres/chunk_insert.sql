-- Id, owner, book, chapter, page, last page, page breaks, paragraph, overlap, words, content.
COPY chunks (id, owner_id, book_id, chapter, page_number, page_end, page_breaks, paragraph,
             overlap, word_count, content)
FROM STDIN (FORMAT binary);
