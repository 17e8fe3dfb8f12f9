-- A book that is moved here, as transfer_books has it; visible when the transaction is.
INSERT INTO books (state, id, owner_id, title, author, source_type, language, tags, metadata,
                   page_kind, page_count, chunk_count, word_count, content_hash, file_name,
                   byte_size, title_sort, author_sort, created_at, updated_at)
VALUES ('ready', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
        ?19);
