/*
 * How things of the library look as JSON: the same for the HTTP API, the export and the command
 * line. The shapes stand in docs/reference/api.md. Each function writes key-value pairs into an
 * open object, or a whole value where it says so.
 */
#pragma once

#include "answers/reply.h"
#include "bulkhead/base/json.h"
#include "library/books.h"
#include "library/chunks.h"
#include "library/jobs.h"
#include "library/search.h"

void tome_view_book(struct bh_json *json, const struct tome_book *book);
/* "chapters": […] */
void tome_view_chapters(struct bh_json *json, const struct tome_chapter *chapters, size_t count);
void tome_view_content(struct bh_json *json, const struct tome_content *content);
void tome_view_job(struct bh_json *json, const struct tome_job *job);

/* The fields of a list's place: total_count, page, page_size, total_pages, has_next. */
void tome_view_paging(struct bh_json *json, int64_t total, int64_t page, int64_t page_size);

/* "query", "match", "results" … as far as they do not depend on the request. */
void tome_view_search(struct bh_json *json, const struct tome_search_request *request,
                      const struct tome_search_answer *answer);
void tome_view_search_books(struct bh_json *json, const struct tome_search_request *request,
                            const struct tome_search_books_answer *answer);

/* "verdict", "answer", "citations" … */
void tome_view_reply(struct bh_json *json, const struct tome_reply *reply);

/* One line of the export each, with its line end. */
void tome_view_export_chunk(struct bh_json *json, int64_t book_id,
                            const struct tome_chunk_row *chunk);

/* A time as RFC 3339; null for 0. */
void tome_view_time(struct bh_json *json, const char *key, int64_t time_us);

/* How many code points the first `size` bytes of `text` hold. */
int64_t tome_view_code_points(struct bh_str text);
