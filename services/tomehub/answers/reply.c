/*
 * Search; then the provider's sentences, or where there is none or it fails, the library's own.
 */
#include "answers/reply.h"

#include "answers/extractive.h"
#include "answers/generated.h"
#include "answers/reply_metrics.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/fiber.h"
#include "library/searcher.h"

#define TEXT_MAX ((size_t)256 * 1024)

struct replying {
    const struct tome_replier *replier;
    const struct tome_search_request *request;
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

static void take_found(struct replying *const replying)
{
    replying->found = *replying->replier->found;
    if (replying->found.hit_count > TOME_EXTRACTIVE_CHUNKS_MAX)
        replying->found.hit_count = TOME_EXTRACTIVE_CHUNKS_MAX;
    replying->reply.chunk_count = replying->found.hit_count;
}

static int find_chunks(struct replying *const replying, struct bh_error *const reterr)
{
    if (replying->replier->found != NULL) {
        take_found(replying);
        return 0;
    }
    const struct tome_search_request *const request = replying->request;
    struct tome_search_request search = { .owner_id = request->owner_id,
                                          .query = request->query,
                                          .filters = request->filters,
                                          .sort = TOME_SORT_RELEVANCE,
                                          .page = 1,
                                          .page_size = TOME_EXTRACTIVE_CHUNKS_MAX,
                                          .include_details = true,
                                          .for_answer = true };
    const uint64_t begun_us = bh_time_now_us();
    const int result = tome_search(replying->replier->searcher, &search, replying->arena,
                                   &replying->found, reterr);
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

/* On one line: line ends are the paragraphs' of a book, or a list's. */
static int tell_line(struct replying *const replying, const struct bh_str text,
                     struct bh_error *const reterr)
{
    char *const line = text.data != NULL ? bh_arena_strdup(replying->arena, text) : NULL;
    if (line == NULL)
        return no_memory(reterr);
    for (char *at = line; *at != '\0'; at++)
        *at = *at == '\n' || *at == '\r' || *at == '\t' ? ' ' : *at;
    return tell(replying, bh_str_from(line), reterr);
}

/* "<sentence> [n]" */
static int tell_sentence(struct replying *const replying, const size_t index,
                         struct bh_error *const reterr)
{
    const struct tome_extractive_sentence *const sentence = &replying->extractive.sentences[index];
    const size_t number = cite(replying, &replying->found.hits[sentence->hit], sentence->text);
    if (number == 0)
        return no_memory(reterr);
    const char *const text = bh_arena_printf(replying->arena, "%s%.*s [%zu]", index > 0 ? " " : "",
                                             BH_STR_ARGS(sentence->text), number);
    return tell_line(replying, bh_str_from(text), reterr);
}

static int reply_extractive(struct replying *const replying, struct bh_error *const reterr)
{
    int result = tome_searcher_run(replying->replier->searcher, true, extract, replying, reterr);
    for (size_t i = 0; result == 0 && i < replying->extractive.count; i++)
        result = tell_sentence(replying, i, reterr);
    replying->reply.verdict = replying->extractive.count > 0 ? TOME_VERDICT_PASS
                                                             : TOME_VERDICT_DECLINE;
    if (result == 0 && replying->extractive.count == 0)
        result = tell(replying, TOME_REPLY_DECLINED, reterr);
    return result;
}

/* ---- The generated answer ---- */

/* "<sentence> [n] [m]", with the numbers of our citations. */
static int generated_sentence(void *const argument, const struct tome_grounding *const grounding,
                              struct bh_error *const reterr)
{
    struct replying *const replying = argument;
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) text;
    bh_buf_init(&text, TEXT_MAX);
    bh_buf_printf(&text, "%s%.*s", replying->text.size > 0 ? " " : "",
                  BH_STR_ARGS(grounding->text));
    for (size_t i = 0; i < grounding->cited_count; i++) {
        const struct tome_search_hit *const hit = &replying->found.hits[grounding->cited[i]];
        const size_t number = cite(replying, hit, grounding->quotes[i]);
        if (number > 0)
            bh_buf_printf(&text, " [%zu]", number);
    }
    return bh_buf_error(&text) != 0 ? no_memory(reterr)
                                    : tell_line(replying, bh_buf_peek(&text), reterr);
}

static int forget(void *const argument, struct bh_error *const reterr)
{
    struct replying *const replying = argument;
    bh_buf_clear(&replying->text);
    replying->reply.citation_count = 0;
    return replying->listener->restart(replying->listener->argument, reterr);
}

/* The provider failed: the library's own sentences stand in. */
static int degrade(struct replying *const replying, const struct bh_error *const cause,
                   struct bh_error *const reterr)
{
    bh_log_warning("answer", "%s; answering with the library's own sentences", cause->message);
    replying->reply.is_degraded = true;
    const int result = replying->text.size > 0 ? forget(replying, reterr) : 0;
    return result == 0 ? reply_extractive(replying, reterr) : result;
}

static int reply_generated(struct replying *const replying, struct bh_error *const reterr)
{
    const size_t most = TOME_PROMPT_EXCERPTS_MAX;
    struct tome_generating generating = {
        .provider = replying->replier->provider,
        .searcher = replying->replier->searcher,
        .arena = replying->arena,
        .question = replying->request->query,
        .hits = replying->found.hits,
        .hit_count = replying->found.hit_count < most ? replying->found.hit_count : most,
        .sentence = generated_sentence,
        .restart = forget,
        .argument = replying,
    };
    struct bh_error cause = { .message = "" };
    const int result = tome_generated_make(&generating, &cause);
    replying->reply.attempts = generating.attempts;
    if (result == 0 || result == BH_ENOTFOUND) {
        replying->reply.is_generated = true;
        replying->reply.verdict = result == 0 ? TOME_VERDICT_PASS : TOME_VERDICT_DECLINE;
        return result == 0 ? 0 : tell(replying, TOME_REPLY_DECLINED, reterr);
    }
    /* Out of time itself, the request has none for the library's own sentences either. */
    if (result != BH_ECANCELED && bh_time_now_us() >= bh_fiber_deadline())
        return bh_error_set(reterr, BH_ETIMEDOUT, "the answer was not ready in time: ask again");
    if (generating.is_provider_fault && result != BH_ECANCELED)
        return degrade(replying, &cause, reterr);
    return bh_error_set(reterr, result, "%s", cause.message);
}

/* ---- The whole ---- */

static int reply(struct replying *const replying, struct bh_error *const reterr)
{
    const struct tome_reply_listener *const listener = replying->listener;
    int result = find_chunks(replying, reterr);
    if (result == 0)
        result = listener->loaded(listener->argument, replying->reply.chunk_count, reterr);
    const uint64_t begun_us = bh_time_now_us();
    if (result == 0)
        result = replying->replier->provider != NULL && replying->found.hit_count > 0
                     ? reply_generated(replying, reterr)
                     : reply_extractive(replying, reterr);
    replying->reply.answer_us = bh_time_now_us() - begun_us;
    return result;
}

int tome_reply_make(const struct tome_replier *const replier,
                    const struct tome_search_request *const request,
                    const struct tome_reply_listener *const listener, struct bh_arena *const arena,
                    struct tome_reply *const ret_reply, struct bh_error *const reterr)
{
    struct replying *const replying = bh_arena_calloc(arena, 1, sizeof(*replying));
    if (replying == NULL)
        return no_memory(reterr);
    *replying = (struct replying){
        .replier = replier, .request = request, .listener = listener, .arena = arena
    };
    bh_buf_init(&replying->text, TEXT_MAX);
    int result = reply(replying, reterr);
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

/* ---- Nobody listens ---- */

static int ignore_count(void *const argument, const size_t count, struct bh_error *const reterr)
{
    (void)argument, (void)count, (void)reterr;
    return 0;
}

static int ignore_text(void *const argument, const struct bh_str text,
                       struct bh_error *const reterr)
{
    (void)argument, (void)text, (void)reterr;
    return 0;
}

static int ignore(void *const argument, struct bh_error *const reterr)
{
    (void)argument, (void)reterr;
    return 0;
}

const struct tome_reply_listener tome_reply_unheard = { .loaded = ignore_count,
                                                        .text = ignore_text,
                                                        .restart = ignore };
