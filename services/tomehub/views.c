/* JSON of books, contents, jobs and search answers. */
#include "views.h"

#include "bulkhead/base/time.h"

int64_t tome_view_code_points(const struct bh_str text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80; /* not a continuation byte */
    return count;
}

void tome_view_time(struct bh_json *const json, const char *const key, const int64_t time_us)
{
    if (time_us == 0) {
        bh_json_kv_null(json, key);
        return;
    }
    char text[BH_TIME_TEXT_SIZE];
    bh_time_text(time_us, text);
    bh_json_kv_string(json, key, bh_str_from(text));
}

static void kv_raw(struct bh_json *const json, const char *const key, const struct bh_str value)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_raw(json, value);
}

static void kv_string_or_null(struct bh_json *const json, const char *const key,
                              const struct bh_str value)
{
    if (value.size > 0)
        bh_json_kv_string(json, key, value);
    else
        bh_json_kv_null(json, key);
}

/* ---- Books ---- */

void tome_view_book(struct bh_json *const json, const struct tome_book *const book)
{
    bh_json_kv_int(json, "id", book->id);
    bh_json_kv_string(json, "title", book->title);
    bh_json_kv_string(json, "author", book->author);
    bh_json_kv_string(json, "source_type", book->source_type);
    bh_json_kv_string(json, "language", book->language);
    kv_raw(json, "tags", book->tags);
    bh_json_kv_string(json, "page_kind", book->page_kind);
    bh_json_kv_int(json, "page_count", book->page_count);
    bh_json_kv_int(json, "chunk_count", book->chunk_count);
    bh_json_kv_int(json, "word_count", book->word_count);
    bh_json_kv_string(json, "file_name", book->file_name);
    bh_json_kv_int(json, "byte_size", book->byte_size);
    tome_view_time(json, "created_at", book->created_at);
    tome_view_time(json, "updated_at", book->updated_at);
    kv_raw(json, "metadata", book->metadata);
}

void tome_view_chapters(struct bh_json *const json, const struct tome_chapter *const chapters,
                        const size_t count)
{
    bh_json_kv_array(json, "chapters");
    for (size_t i = 0; i < count; i++) {
        bh_json_object_begin(json);
        bh_json_kv_string(json, "title", chapters[i].title);
        bh_json_kv_int(json, "page_number", chapters[i].page_number);
        bh_json_object_end(json);
    }
    bh_json_array_end(json);
}

void tome_view_content(struct bh_json *const json, const struct tome_content *const content)
{
    bh_json_kv_int(json, "id", content->id);
    bh_json_kv_int(json, "book_id", content->book_id);
    bh_json_kv_string(json, "title", content->title);
    bh_json_kv_string(json, "author", content->author);
    bh_json_kv_string(json, "source_type", content->source_type);
    bh_json_kv_string(json, "chapter", content->chapter);
    bh_json_kv_int(json, "page_number", content->page_number);
    bh_json_kv_string(json, "page_label", content->page_label);
    bh_json_kv_string(json, "page_kind", content->page_kind);
    bh_json_kv_int(json, "paragraph", content->paragraph);
    bh_json_kv_string(json, "content", content->content);
    kv_raw(json, "tags", content->tags);
    kv_raw(json, "metadata", content->metadata);
}

static void write_citation(struct bh_json *const json, const size_t number,
                           const struct tome_citation *const citation)
{
    const struct tome_search_hit *const hit = citation->hit;
    bh_json_object_begin(json);
    bh_json_kv_int(json, "number", (int64_t)number);
    bh_json_kv_int(json, "id", hit->id);
    bh_json_kv_int(json, "book_id", hit->book_id);
    bh_json_kv_string(json, "title", hit->title);
    bh_json_kv_string(json, "author", hit->author);
    bh_json_kv_string(json, "chapter", hit->chapter);
    bh_json_kv_int(json, "page_number", citation->page_number);
    bh_json_kv_string(json, "page_label", citation->page_label);
    bh_json_kv_string(json, "page_kind", hit->page_kind);
    bh_json_kv_string(json, "quote", citation->quote);
    bh_json_object_end(json);
}

static void write_ms(struct bh_json *const json, const char *const key, const uint64_t us)
{
    bh_json_key(json, bh_str_from(key));
    bh_json_fixed(json, (double)us / 1e3, 3);
}

void tome_view_reply(struct bh_json *const json, const struct tome_reply *const reply)
{
    bh_json_kv_string(json, "verdict",
                      reply->verdict == TOME_VERDICT_PASS ? BH_STR("PASS") : BH_STR("DECLINE"));
    bh_json_kv_string(json, "source",
                      reply->is_generated ? BH_STR("generated") : BH_STR("extractive"));
    bh_json_kv_bool(json, "degraded", reply->is_degraded);
    bh_json_kv_int(json, "attempts", reply->attempts);
    bh_json_kv_string(json, "answer", reply->text);
    bh_json_kv_array(json, "citations");
    for (size_t i = 0; i < reply->citation_count; i++)
        write_citation(json, i + 1, &reply->citations[i]);
    bh_json_array_end(json);
    bh_json_kv_object(json, "timings");
    write_ms(json, "search_ms", reply->search_us);
    write_ms(json, "answer_ms", reply->answer_us);
    bh_json_object_end(json);
}

void tome_view_export_chunk(struct bh_json *const json, const int64_t book_id,
                            const struct tome_chunk_row *const chunk)
{
    const struct bh_str overlap = { .data = chunk->content.data, .size = (size_t)chunk->overlap };
    bh_json_kv_int(json, "id", chunk->id);
    bh_json_kv_int(json, "book_id", book_id);
    bh_json_kv_string(json, "chapter", chunk->chapter);
    bh_json_kv_int(json, "page_number", chunk->page_number);
    bh_json_kv_int(json, "page_end", chunk->page_end);
    bh_json_kv_int(json, "paragraph", chunk->paragraph);
    bh_json_kv_int(json, "overlap", tome_view_code_points(overlap));
    bh_json_kv_string(json, "content", chunk->content);
}

/* ---- Jobs ---- */

void tome_view_job(struct bh_json *const json, const struct tome_job *const job)
{
    bh_json_kv_int(json, "job_id", job->id);
    bh_json_kv_int(json, "book_id", job->book_id);
    bh_json_kv_string(json, "status", job->status);
    bh_json_kv_string(json, "stage", job->stage);
    bh_json_kv_string(json, "file_name", job->file_name);
    bh_json_kv_string(json, "title", job->title);
    bh_json_kv_int(json, "percent", job->percent);
    bh_json_kv_int(json, "pages", job->pages);
    bh_json_kv_int(json, "chunks", job->chunks);
    kv_string_or_null(json, "error", job->error);
    tome_view_time(json, "created_at", job->created_at);
    tome_view_time(json, "finished_at", job->finished_at);
}

/* ---- Lists ---- */

static int64_t pages_of(const int64_t total, const int64_t page_size)
{
    return (total + page_size - 1) / page_size;
}

void tome_view_paging(struct bh_json *const json, const int64_t total, const int64_t page,
                      const int64_t page_size)
{
    bh_json_kv_int(json, "total_count", total);
    bh_json_kv_int(json, "page", page);
    bh_json_kv_int(json, "page_size", page_size);
    bh_json_kv_int(json, "total_pages", pages_of(total, page_size));
    bh_json_kv_bool(json, "has_next", page < pages_of(total, page_size));
}

/* ---- Search ---- */

static void write_excerpt(struct bh_json *const json, const struct tome_search_hit *const hit)
{
    bh_json_kv_string(json, "snippet", hit->snippet);
    bh_json_kv_array(json, "highlights");
    for (size_t i = 0; i < hit->highlight_count; i++) {
        bh_json_array_begin(json);
        bh_json_int(json, hit->highlights[i].start);
        bh_json_int(json, hit->highlights[i].end);
        bh_json_array_end(json);
    }
    bh_json_array_end(json);
}

static void write_score(struct bh_json *const json, const double score)
{
    bh_json_key(json, BH_STR("score"));
    bh_json_fixed(json, score, 4);
}

static void write_hit(struct bh_json *const json, const struct tome_search_hit *const hit,
                      const bool details)
{
    bh_json_object_begin(json);
    bh_json_kv_int(json, "id", hit->id);
    bh_json_kv_string(json, "title", hit->title);
    write_score(json, hit->score);
    if (details) {
        bh_json_kv_string(json, "content", hit->content);
        write_excerpt(json, hit);
        bh_json_kv_string(json, "source_type", hit->source_type);
        bh_json_kv_int(json, "book_id", hit->book_id);
        bh_json_kv_string(json, "author", hit->author);
        bh_json_kv_string(json, "chapter", hit->chapter);
        bh_json_kv_int(json, "page_number", hit->page_number);
        bh_json_kv_string(json, "page_label", hit->page_label);
        bh_json_kv_string(json, "page_kind", hit->page_kind);
        bh_json_kv_int(json, "paragraph", hit->paragraph);
        kv_raw(json, "tags", hit->tags);
        kv_raw(json, "metadata", hit->metadata);
    }
    bh_json_object_end(json);
}

static void write_facet(struct bh_json *const json, const char *const name,
                        const struct tome_facet *const facet, const bool by_id)
{
    bh_json_kv_array(json, name);
    for (size_t i = 0; i < facet->count; i++) {
        const struct tome_facet_value *const value = &facet->values[i];
        bh_json_object_begin(json);
        if (by_id) {
            bh_json_kv_int(json, "value", value->id);
            bh_json_kv_string(json, "label", value->label);
        } else {
            bh_json_kv_string(json, "value", value->label);
        }
        bh_json_kv_int(json, "count", value->count);
        bh_json_object_end(json);
    }
    bh_json_array_end(json);
}

static void write_facets(struct bh_json *const json, const struct tome_search_answer *const answer)
{
    bh_json_kv_object(json, "facets");
    write_facet(json, "book_id", &answer->facet_books, true);
    write_facet(json, "author", &answer->facet_authors, false);
    write_facet(json, "source_type", &answer->facet_source_types, false);
    write_facet(json, "tags", &answer->facet_tags, false);
    bh_json_object_end(json);
}

static void write_match(struct bh_json *const json, const struct bh_str query,
                        const bool match_some, const struct bh_str did_you_mean)
{
    bh_json_kv_string(json, "query", query);
    bh_json_kv_string(json, "match", match_some ? BH_STR("some") : BH_STR("all"));
    kv_string_or_null(json, "did_you_mean", did_you_mean);
}

void tome_view_search(struct bh_json *const json, const struct tome_search_request *const request,
                      const struct tome_search_answer *const answer)
{
    const int64_t page_size = request->page_size;
    write_match(json, request->query, answer->match_some, answer->did_you_mean);
    bh_json_kv_array(json, "results");
    for (size_t i = 0; i < answer->hit_count; i++)
        write_hit(json, &answer->hits[i], request->include_details);
    bh_json_array_end(json);
    bh_json_kv_int(json, "total_count", answer->total_count);
    bh_json_kv_int(json, "page", answer->page);
    bh_json_kv_int(json, "page_size", page_size);
    bh_json_kv_int(json, "total_pages", pages_of(answer->total_count, page_size));
    bh_json_kv_bool(json, "has_next", answer->has_next);
    kv_string_or_null(json, "next_cursor", answer->next_cursor);
    if (request->facets)
        write_facets(json, answer);
}

static void write_found_book(struct bh_json *const json, const struct tome_search_book *const book)
{
    bh_json_object_begin(json);
    bh_json_kv_int(json, "book_id", book->book_id);
    bh_json_kv_string(json, "title", book->title);
    bh_json_kv_string(json, "author", book->author);
    bh_json_kv_string(json, "source_type", book->source_type);
    bh_json_kv_string(json, "page_kind", book->page_kind);
    write_score(json, book->score);
    bh_json_kv_int(json, "match_count", book->match_count);
    bh_json_kv_array(json, "pages");
    for (size_t i = 0; i < book->page_count; i++) {
        const struct tome_search_hit *const hit = &book->pages[i];
        bh_json_object_begin(json);
        bh_json_kv_int(json, "chunk_id", hit->id);
        bh_json_kv_int(json, "page_number", hit->page_number);
        bh_json_kv_string(json, "page_label", hit->page_label);
        bh_json_kv_string(json, "chapter", hit->chapter);
        write_excerpt(json, hit);
        write_score(json, hit->score);
        bh_json_object_end(json);
    }
    bh_json_array_end(json);
    bh_json_object_end(json);
}

void tome_view_search_books(struct bh_json *const json,
                            const struct tome_search_request *const request,
                            const struct tome_search_books_answer *const answer)
{
    const int64_t page_size = request->page_size;
    write_match(json, request->query, answer->match_some, answer->did_you_mean);
    bh_json_kv_array(json, "books");
    for (size_t i = 0; i < answer->book_count; i++)
        write_found_book(json, &answer->books[i]);
    bh_json_array_end(json);
    bh_json_kv_int(json, "total_books", answer->total_books);
    bh_json_kv_int(json, "total_count", answer->total_count);
    bh_json_kv_int(json, "page", request->page);
    bh_json_kv_int(json, "page_size", page_size);
    bh_json_kv_int(json, "total_pages", pages_of(answer->total_books, page_size));
    bh_json_kv_bool(json, "has_next", answer->has_next);
}
