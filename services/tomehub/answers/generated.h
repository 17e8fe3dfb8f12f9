/*
 * The generated answer: read from the provider sentence by sentence, each checked before it is
 * told. What no cited chunk supports ends the attempt; there is one more, then the library "does
 * not say". Fiber.
 */
#pragma once

#include "answers/grounding.h"
#include "answers/provider.h"
#include "library/searcher.h"

#define TOME_GENERATED_ATTEMPTS_MAX 2

struct tome_generating {
    struct tome_provider *provider; /* borrowed, as the rest */
    struct tome_searcher *searcher;
    struct bh_arena *arena;
    struct bh_str question;
    const struct tome_search_hit *hits;
    size_t hit_count;

    /* A supported sentence; what was told before is to be forgotten. An error ends the call with
     * it. */
    int (*sentence)(void *argument, const struct tome_grounding *grounding,
                    struct bh_error *reterr);
    int (*restart)(void *argument, struct bh_error *reterr);
    void *argument;

    unsigned attempts;      /* filled: how many were made */
    bool is_provider_fault; /* filled: an error is the provider's, not the listener's */
};

/* 0: answered. BH_ENOTFOUND: the library does not say. Else the provider's error, or the
 * listener's; what was told is then to be forgotten. */
int tome_generated_make(struct tome_generating *generating, struct bh_error *reterr) BH_MUST_CHECK;
