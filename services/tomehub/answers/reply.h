/*
 * Answering a question from one owner's library, with citations: search, then sentences.
 *
 * The answer comes piece by piece, as it is made; every piece carries [n] behind what it says, and
 * n is a citation: chunk, book, chapter and page. Fiber, or a thread without a loop.
 */
#pragma once

#include "library/search.h"

struct tome_provider;

#define TOME_REPLY_CITATIONS_MAX 16

/* What is said where nothing in the library answers. */
#define TOME_REPLY_DECLINED BH_STR("The library does not say.")

enum tome_verdict {
    TOME_VERDICT_PASS,   /* each sentence is supported by what it cites */
    TOME_VERDICT_DECLINE /* the library does not say */
};

struct tome_citation {
    const struct tome_search_hit *hit;
    int64_t page_number;
    struct bh_str page_label;
    struct bh_str quote; /* the sentence, or the beginning of the chunk */
};

struct tome_reply {
    enum tome_verdict verdict;
    bool is_generated;  /* by the provider; else extractive */
    bool is_degraded;   /* extractive because the provider failed */
    unsigned attempts;  /* of the provider */
    struct bh_str text; /* the whole answer */
    struct tome_citation citations[TOME_REPLY_CITATIONS_MAX]; /* [1] is the first */
    size_t citation_count;
    size_t chunk_count; /* read for it */
    uint64_t search_us, answer_us;
};

/* Told as it happens; an error they return ends the call with it. */
struct tome_reply_listener {
    int (*loaded)(void *argument, size_t chunk_count, struct bh_error *reterr); /* once, first */
    int (*text)(void *argument, struct bh_str text, struct bh_error *reterr);
    int (*restart)(void *argument, struct bh_error *reterr); /* forget the text told so far */
    void *argument;
};

/* Who listens to nothing but the end. */
extern const struct tome_reply_listener tome_reply_unheard;

struct tome_replier {
    struct tome_searcher *searcher;
    struct tome_provider *provider; /* NULL: every answer is extractive */
    /* What was found for the question already: the first page by relevance, at least
     * TOME_EXTRACTIVE_CHUNKS_MAX of it, asked with include_details and for_answer. NULL: the search
     * is made here. */
    const struct tome_search_answer *found;
};

/* `request`: the question as its query, filters and owner; the rest of it does not matter. All of
 * the reply lives in `arena`. Errors: the search's, before anything was told; the listener's. */
int tome_reply_make(const struct tome_replier *replier, const struct tome_search_request *request,
                    const struct tome_reply_listener *listener, struct bh_arena *arena,
                    struct tome_reply *ret_reply, struct bh_error *reterr) BH_MUST_CHECK;
