/*
 * The memory ladder: what is done, in order, as memory runs short, and undone as it comes back.
 *
 * Model: a level (ok, warning, critical) follows a percentage. It rises as soon as a threshold is
 * reached; it falls when the percentage has stayed BH_MEMORY_HYSTERESIS points below that threshold
 * for BH_MEMORY_HOLD_US, one level at a time. Each level has actions, done in the order of their
 * addition when it is entered from below (or `after_us` later, if it still stands) and undone in
 * the opposite order when it is left. Each step is logged once and counted by its name.
 *
 * Time is passed in. One thread.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/time.h"

#define BH_MEMORY_ACTIONS_MAX 16
#define BH_MEMORY_HYSTERESIS 5.0 /* percentage points */
#define BH_MEMORY_HOLD_US (10 * BH_SECOND_US)

enum bh_memory_level { BH_MEMORY_OK, BH_MEMORY_WARNING, BH_MEMORY_CRITICAL };
extern const char *const bh_memory_level_names[3]; /* "ok", "warning", "critical" */

struct bh_memory_action {
    const char *name; /* a literal, of what is acted upon: "streams" */
    enum bh_memory_level level;
    uint64_t after_us;             /* of standing at the level */
    uint64_t repeat_us;            /* done again while the level stands; 0: once */
    bool (*apply)(void *argument); /* false: not now; asked again by the next run */
    void (*undo)(void *argument);  /* NULL: nothing to undo */
    void *argument;
};

struct bh_memory_ladder; /* opaque */

/* Thresholds in percent: 0 < warning < critical. BH_EINVAL. */
int bh_memory_ladder_create(unsigned warning, unsigned critical,
                            struct bh_memory_ladder **ret_ladder) BH_MUST_CHECK;
/* Undoes nothing. NULL is fine. */
void bh_memory_ladder_destroy(struct bh_memory_ladder *ladder);

/* Copied. Before the first feed. */
void bh_memory_ladder_add(struct bh_memory_ladder *ladder, const struct bh_memory_action *action);

/* A reading: moves the level; what was done at a level that is left is undone here. `limit`: the
 * level does not stay above it (the shortage is not this process' doing). Returns the level. */
enum bh_memory_level bh_memory_ladder_feed(struct bh_memory_ladder *ladder, double percent,
                                           enum bh_memory_level limit, uint64_t now_us);

/* Runs what is due. After each feed. */
void bh_memory_ladder_run(struct bh_memory_ladder *ladder, uint64_t now_us);

/* Asserts every invariant; for tests. */
void bh_memory_ladder_check(const struct bh_memory_ladder *ladder);
