/* Search, extract, cite. */
#include "answers/reply.h"

#include "answers/extractive.h"
#include "answers/reply_metrics.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/time.h"
#include "library/searcher.h"

#define TEXT_MAX ((size_t)256 * 1024)

struct replying {
    struct tome_searcher *searcher;
    const struct tome_reply_listener *listener;
    struct bh_arena *arena;
    struct tome_search_answer found;
    struct tome_extractive extractive;
    struct tome_reply reply;
    struct bh_buf text;
};

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ELIMIT, "the answer needs more memory than a request may take");
}

static int tell(struct replying *const replying, const struct bh_str text,
                struct bh_error *const reterr)
{
    bh_buf_append_str(&replying->text, text);
    return bh_buf_error(&replying->text) != 0
               ? no_memory(reterr)
               : replying->listener->text(replying->listener->argument, text, reterr);
}

/* ---- Search ---- */

static int find_chunks(struct replying *const replying,
                       const struct tome_search_request *const request,
                       struct bh_error *const reterr)
{
    struct tome_search_request search = { .owner_id = request->owner_id,
                                          .query = request->query,
                                          .filters = request->filters,
                                          .sort = TOME_SORT_RELEVANCE,
                                          .page = 1,
                                          .page_size = TOME_EXTRACTIVE_CHUNKS_MAX,
                                          .include_details = true,
                                          .for_answer = true };
    const uint64_t begun_us = bh_time_now_us();
    const int result = tome_search(replying->searcher, &search, replying->arena, &replying->found,
                                   reterr);
    replying->reply.search_us = bh_time_now_us() - begun_us;
    replying->reply.chunk_count = replying->found.hit_count;
    return result == BH_EINVAL ? 0 : result; /* nothing in it that can be searched: finds nothing */
}

/* ---- Citations ---- */

/* The number of the citation of a chunk's page, a new one if need be; 0: no memory. */
static size_t cite(struct replying *const replying, const struct tome_search_hit *const hit,
                   const struct bh_str quote)
{
    struct tome_reply *const reply = &replying->reply;
    const size_t at = (size_t)(quote.data - hit->content.data);
    struct bh_str label;
    const int64_t page = tome_search_page_at(&hit->passage, at, replying->arena, &label);
    for (size_t i = 0; i < reply->citation_count; i++)
        if (reply->citations[i].hit == hit && reply->citations[i].page_number == page)
            return i + 1;
    if (label.data == NULL || reply->citation_count == TOME_REPLY_CITATIONS_MAX)
        return 0;
    reply->citations[reply->citation_count++] = (struct tome_citation){
        .hit = hit, .page_number = page, .page_label = label, .quote = quote
    };
    return reply->citation_count;
}

/* ---- The extractive answer ---- */

static int extract(void *const argument, struct tome_analyzer *const analyzer,
                   const atomic_bool *const canceled, struct bh_error *const reterr)
{
    struct replying *const replying = argument;
    (void)canceled;
    return tome_extractive_make(analyzer, &replying->found, replying->arena,
                                &replying->extractive) == 0
               ? 0
               : no_memory(reterr);
}

/* "<sentence> [n]", on one line. */
static int tell_sentence(struct replying *const replying, const size_t index,
                         struct bh_error *const reterr)
{
    const struct tome_extractive_sentence *const sentence = &replying->extractive.sentences[index];
    const size_t number = cite(replying, &replying->found.hits[sentence->hit], sentence->text);
    const struct bh_str text = bh_str_from(bh_arena_printf(replying->arena, "%s%.*s [%zu]",
                                                           index > 0 ? " " : "",
                                                           BH_STR_ARGS(sentence->text), number));
    char *const line = bh_arena_strdup(replying->arena, text);
    if (number == 0 || text.data == NULL || line == NULL)
        return no_memory(reterr);
    for (char *at = line; *at != '\0'; at++)
        *at = *at == '\n' || *at == '\r' || *at == '\t' ? ' ' : *at;
    return tell(replying, bh_str_from(line), reterr);
}

static int reply_extractive(struct replying *const replying, struct bh_error *const reterr)
{
    int result = tome_searcher_run(replying->searcher, true, extract, replying, reterr);
    for (size_t i = 0; result == 0 && i < replying->extractive.count; i++)
        result = tell_sentence(replying, i, reterr);
    replying->reply.verdict = replying->extractive.count > 0 ? TOME_VERDICT_PASS
                                                             : TOME_VERDICT_DECLINE;
    if (result == 0 && replying->extractive.count == 0)
        result = tell(replying, TOME_REPLY_DECLINED, reterr);
    return result;
}

/* ---- The whole ---- */

static int reply(struct replying *const replying, const struct tome_search_request *const request,
                 struct bh_error *const reterr)
{
    const struct tome_reply_listener *const listener = replying->listener;
    int result = find_chunks(replying, request, reterr);
    if (result == 0)
        result = listener->loaded(listener->argument, replying->reply.chunk_count, reterr);
    const uint64_t begun_us = bh_time_now_us();
    if (result == 0)
        result = reply_extractive(replying, reterr);
    replying->reply.answer_us = bh_time_now_us() - begun_us;
    return result;
}

int tome_reply_make(struct tome_searcher *const searcher,
                    const struct tome_search_request *const request,
                    const struct tome_reply_listener *const listener, struct bh_arena *const arena,
                    struct tome_reply *const ret_reply, struct bh_error *const reterr)
{
    struct replying *const replying = bh_arena_calloc(arena, 1, sizeof(*replying));
    if (replying == NULL)
        return no_memory(reterr);
    *replying = (struct replying){ .searcher = searcher, .listener = listener, .arena = arena };
    bh_buf_init(&replying->text, TEXT_MAX);
    int result = reply(replying, request, reterr);
    if (result == 0) {
        replying->reply.text = bh_str_from(bh_arena_strdup(arena, bh_buf_peek(&replying->text)));
        if (replying->reply.text.data == NULL)
            result = no_memory(reterr);
    }
    bh_buf_fini(&replying->text);
    tome_reply_count(&replying->reply, result);
    if (result == 0)
        *ret_reply = replying->reply;
    return result;
}
