#include "handlers/search_cached.h"

#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "service.h"

#define ENDS_BYTES_MAX 32768 /* a query of 2,000 code points, each escaped, and more */

/* Spaces around, and several in a row, mean nothing. NULL data: no memory. */
static struct bh_str collapse(const struct bh_str query, struct bh_arena *const arena)
{
    char *const text = bh_arena_alloc(arena, query.size + 1);
    size_t size = 0;
    for (size_t i = 0; text != NULL && i < query.size; i++) {
        const char byte = query.data[i];
        const bool is_space = byte == ' ' || (byte >= '\t' && byte <= '\r');
        if (!is_space)
            text[size++] = byte;
        else if (size > 0 && text[size - 1] != ' ')
            text[size++] = ' ';
    }
    while (size > 0 && text[size - 1] == ' ')
        size--;
    return (struct bh_str){ text, size };
}

static void add_texts(struct tome_key *const key, const struct bh_str *const texts,
                      const size_t count)
{
    tome_key_int(key, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        tome_key_text(key, texts[i]);
}

static void make_key(struct tome_key *const key, const char kind, const int64_t owner_id,
                     const struct tome_search_request *const search)
{
    const struct tome_search_filters *const filters = &search->filters;
    const int64_t flags = (int64_t)search->sort << 3 | search->include_details << 2 |
                          search->instant << 1 | search->facets;
    tome_key_begin(key, kind, owner_id);
    tome_key_int(key, flags);
    tome_key_int(key, (int64_t)search->page << 32 | search->page_size);
    tome_key_text(key, search->query);
    tome_key_text(key, search->cursor);
    tome_key_int(key, (int64_t)filters->book_id_count);
    for (size_t i = 0; i < filters->book_id_count; i++)
        tome_key_int(key, filters->book_ids[i]);
    add_texts(key, filters->source_types, filters->source_type_count);
    add_texts(key, filters->authors, filters->author_count);
    add_texts(key, filters->tags, filters->tag_count);
}

/* {"query":"…" */
static void write_begin(struct bh_buf *const buf, const struct bh_str query)
{
    struct bh_json json;
    bh_json_init(&json, buf);
    bh_json_object_begin(&json);
    bh_json_kv_string(&json, "query", query);
}

/* ,"execution_time_ms":0.123,"cache_hit":true} and, before the brace, whether it is degraded. */
static void write_end(struct bh_buf *const buf, const uint64_t begun_ns,
                      const struct tome_origin *const origin)
{
    bh_buf_append_str(buf, BH_STR(",\"execution_time_ms\":"));
    bh_buf_append_fixed(buf, (double)(bh_time_now_ns() - begun_ns) / 1e6, 3);
    bh_buf_append_str(buf, BH_STR(",\"cache_hit\":"));
    bh_buf_append_str(buf, origin->is_hit ? BH_STR("true") : BH_STR("false"));
    tome_cached_mark(buf, origin);
    bh_buf_append_byte(buf, '}');
}

/* Makes the answer and cuts off what is not kept. */
static int load(void *const argument, struct bh_cache_value **const ret_value,
                struct bh_error *const reterr)
{
    const struct tome_search_cached *const cached = argument;
    struct bh_buf begin BH_CLEANUP(bh_buf_fini_cleanup);
    struct tome_answer answer;
    tome_answer_begin(&answer);
    int result = cached->write(cached->argument, &answer.json, reterr);
    bh_buf_init(&begin, ENDS_BYTES_MAX);
    write_begin(&begin, cached->search->query);
    if (result == 0 && (bh_buf_error(&begin) != 0 || bh_buf_error(&answer.text) != 0))
        result = bh_error_set(reterr, BH_EINTERNAL, "the answer is too large");
    if (result == 0) {
        bh_assert(begin.size <= answer.text.size &&
                  memcmp(begin.data, answer.text.data, begin.size) == 0);
        bh_buf_consume(&answer.text, begin.size);
        *ret_value = bh_cache_value_take(&answer.text);
        if (*ret_value == NULL)
            result = bh_error_set(reterr, BH_ENOMEM, "no memory for the answer");
    }
    tome_answer_fini(&answer);
    return result;
}

int tome_search_cached_get(struct bh_request *const request,
                           const struct tome_search_cached *const cached,
                           struct tome_search_body *const ret_body, struct bh_error *const reterr)
{
    const uint64_t begun_ns = bh_time_now_ns();
    struct tome_search_cached copy = *cached;
    struct tome_search_body body = { 0 };
    struct tome_key key;
    const struct bh_str typed = cached->search->query;
    cached->search->query = collapse(typed, bh_request_arena(request));
    if (cached->search->query.data == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the query");
    make_key(&key, cached->kind, cached->search->owner_id, cached->search);
    const struct tome_question question = { .key = &key,
                                            .owner_id = cached->search->owner_id,
                                            .class = TOME_CACHE_SEARCH,
                                            .load = load,
                                            .argument = &copy };
    const int result = tome_cache_ask(tome_service_of(request)->cache, &question, &body.kept,
                                      &body.origin, reterr);
    if (result != 0)
        return result;
    bh_buf_init(&body.ends, ENDS_BYTES_MAX);
    write_begin(&body.ends, typed);
    body.begin_size = body.ends.size;
    write_end(&body.ends, begun_ns, &body.origin);
    *ret_body = body;
    return 0;
}

int tome_search_cached_send(struct bh_request *const request, struct tome_search_body *const body)
{
    int result = bh_buf_error(&body->ends);
    tome_cached_headers(request, &body->origin);
    if (result == 0) {
        const struct bh_str pieces[] = {
            { body->ends.data, body->begin_size },
            bh_cache_value_peek(body->kept),
            { body->ends.data + body->begin_size, body->ends.size - body->begin_size },
        };
        result = bh_respond_pieces(request, 200, "application/json", pieces, 3);
    } else {
        result = bh_respond_error(request, 500, "the answer is too large");
    }
    bh_cache_value_unref(body->kept);
    bh_buf_fini(&body->ends);
    return result;
}
