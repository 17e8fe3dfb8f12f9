/*
 * What the last calls came to, for a breaker: a ring of outcomes, each written as one word, so that
 * recording takes one atomic addition and one store, and counting sees whole outcomes only. Any
 * thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct bh_breaker_window {
    _Atomic uint64_t recorded;   /* outcomes ever; the next one's place follows from it */
    unsigned size;               /* constant */
    _Atomic uint64_t outcomes[]; /* time (54 bits), generation (8), failed (1), slow (1) */
};

struct bh_breaker_counts {
    unsigned calls, failed, slow;
};

static inline uint64_t bh_breaker_outcome_word(const uint64_t now_us, const uint32_t generation,
                                               const bool has_failed, const bool was_slow)
{
    return now_us << 10 | (uint64_t)(generation & 0xff) << 2 | (uint64_t)has_failed << 1 |
           (uint64_t)was_slow;
}

static inline void bh_breaker_window_record(struct bh_breaker_window *const window,
                                            const uint64_t word)
{
    const uint64_t at = atomic_fetch_add_explicit(&window->recorded, 1, memory_order_relaxed);
    atomic_store_explicit(&window->outcomes[at % window->size], word, memory_order_relaxed);
}

/* Counts the outcomes of `generation` that are younger than `age_us`. */
static inline struct bh_breaker_counts
bh_breaker_window_count(const struct bh_breaker_window *const window, const uint32_t generation,
                        const uint64_t now_us, const uint64_t age_us)
{
    struct bh_breaker_counts counts = { 0 };
    for (unsigned i = 0; i < window->size; i++) {
        const uint64_t word = atomic_load_explicit(&window->outcomes[i], memory_order_relaxed);
        if ((word >> 2 & 0xff) != (generation & 0xff) || (word >> 10) + age_us <= now_us)
            continue;
        counts.calls++;
        counts.failed += (unsigned)(word >> 1 & 1);
        counts.slow += (unsigned)(word & 1);
    }
    return counts;
}
