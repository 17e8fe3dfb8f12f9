-- slow: it counts a whole library. Visible books, their chapters, page labels, chunks and words.
SELECT (SELECT count(*) FROM books WHERE state = 'ready'),
       (SELECT count(*) FROM chapters c JOIN books b ON b.id = c.book_id WHERE b.state = 'ready'),
       (SELECT count(*) FROM page_labels l JOIN books b ON b.id = l.book_id
        WHERE b.state = 'ready'),
       (SELECT count(*) FROM chunks c JOIN books b ON b.id = c.book_id WHERE b.state = 'ready'),
       (SELECT coalesce(sum(c.word_count), 0) FROM chunks c JOIN books b ON b.id = c.book_id
        WHERE b.state = 'ready');
