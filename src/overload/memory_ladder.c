#include "bulkhead/overload/memory_ladder.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/error.h"
#include "bulkhead/base/log.h"

#define BH_METRICS_FILE "overload/memory_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define LADDER_MAGIC 0x4d4c4144u

struct step {
    struct bh_memory_action action;
    bool is_done;     /* since its level was entered */
    uint64_t next_us; /* when it is due; BH_NEVER_US: no more */
    bh_metric metric;
};

struct bh_memory_ladder {
    BH_MAGIC_FIELD;
    double thresholds[3]; /* by level */
    struct step steps[BH_MEMORY_ACTIONS_MAX];
    size_t count;
    enum bh_memory_level level;
    uint64_t below_since_us; /* the percentage is low enough to fall; BH_NEVER_US: it is not */
    bh_metric level_metric;
    bh_metric change_metrics[3];
};

const char *const bh_memory_level_names[3] = { "ok", "warning", "critical" };

int bh_memory_ladder_create(const unsigned warning, const unsigned critical,
                            struct bh_memory_ladder **const ret_ladder)
{
    if (warning == 0 || warning >= critical)
        return BH_EINVAL;
    struct bh_memory_ladder *const ladder = calloc(1, sizeof(*ladder));
    if (!ladder)
        return BH_ENOMEM;
    ladder->magic = LADDER_MAGIC;
    ladder->thresholds[BH_MEMORY_WARNING] = warning;
    ladder->thresholds[BH_MEMORY_CRITICAL] = critical;
    ladder->below_since_us = BH_NEVER_US;
    bh_metrics_register(metric_families, METRIC_COUNT);
    ladder->level_metric = bh_metrics_child(&metric_families[METRIC_level], NULL, 0);
    for (size_t i = 0; i < BH_COUNT_OF(ladder->change_metrics); i++)
        ladder->change_metrics[i] = bh_metrics_child(&metric_families[METRIC_changes],
                                                     &bh_memory_level_names[i], 1);
    *ret_ladder = ladder;
    return 0;
}

void bh_memory_ladder_destroy(struct bh_memory_ladder *const ladder)
{
    if (!ladder)
        return;
    bh_magic_check(ladder, LADDER_MAGIC);
    bh_metrics_add(ladder->level_metric, -(int64_t)ladder->level);
    ladder->magic = 0;
    free(ladder);
}

void bh_memory_ladder_add(struct bh_memory_ladder *const ladder,
                          const struct bh_memory_action *const action)
{
    bh_magic_check(ladder, LADDER_MAGIC);
    bh_assert(ladder->count < BH_MEMORY_ACTIONS_MAX && action->level != BH_MEMORY_OK);
    ladder->steps[ladder->count++] = (struct step){
        .action = *action,
        .next_us = BH_NEVER_US,
        .metric = bh_metrics_child(&metric_families[METRIC_steps], &action->name, 1),
    };
}

/* ---- Steps ---- */

static void enter(struct bh_memory_ladder *const ladder, const enum bh_memory_level level,
                  const uint64_t now_us)
{
    bh_metrics_add(ladder->level_metric, (int64_t)level - (int64_t)ladder->level);
    bh_metrics_add(ladder->change_metrics[level], 1);
    ladder->level = level;
    ladder->below_since_us = BH_NEVER_US;
    for (size_t i = 0; i < ladder->count; i++) {
        struct step *const step = &ladder->steps[i];
        if (step->action.level == level && !step->is_done)
            step->next_us = now_us + step->action.after_us;
    }
}

/* Leaves the present level for the one below. */
static void fall(struct bh_memory_ladder *const ladder)
{
    const enum bh_memory_level left = ladder->level;
    for (size_t i = ladder->count; i-- > 0;) {
        struct step *const step = &ladder->steps[i];
        if (step->action.level != left)
            continue;
        step->next_us = BH_NEVER_US;
        if (step->is_done && step->action.undo) {
            step->action.undo(step->action.argument);
            bh_log_info("memory", "%s: undone, memory is %s again", step->action.name,
                        bh_memory_level_names[left - 1]);
        }
        step->is_done = false;
    }
    bh_metrics_add(ladder->level_metric, -1);
    ladder->level = (enum bh_memory_level)(left - 1);
    bh_metrics_add(ladder->change_metrics[ladder->level], 1);
    ladder->below_since_us = BH_NEVER_US;
}

static void run_step(struct step *const step, const uint64_t now_us)
{
    if (now_us < step->next_us || !step->action.apply(step->action.argument))
        return;
    if (!step->is_done)
        bh_log_warning("memory", "%s: done, memory is %s", step->action.name,
                       bh_memory_level_names[step->action.level]);
    bh_metrics_add(step->metric, 1);
    step->is_done = true;
    step->next_us = step->action.repeat_us > 0 ? now_us + step->action.repeat_us : BH_NEVER_US;
}

void bh_memory_ladder_run(struct bh_memory_ladder *const ladder, const uint64_t now_us)
{
    bh_magic_check(ladder, LADDER_MAGIC);
    for (enum bh_memory_level level = BH_MEMORY_WARNING; level <= ladder->level; level++)
        for (size_t i = 0; i < ladder->count; i++)
            if (ladder->steps[i].action.level == level)
                run_step(&ladder->steps[i], now_us);
}

/* ---- Readings ---- */

static enum bh_memory_level level_of(const struct bh_memory_ladder *const ladder,
                                     const double percent)
{
    if (percent >= ladder->thresholds[BH_MEMORY_CRITICAL])
        return BH_MEMORY_CRITICAL;
    return percent >= ladder->thresholds[BH_MEMORY_WARNING] ? BH_MEMORY_WARNING : BH_MEMORY_OK;
}

enum bh_memory_level bh_memory_ladder_feed(struct bh_memory_ladder *const ladder,
                                           const double percent, const enum bh_memory_level limit,
                                           const uint64_t now_us)
{
    bh_magic_check(ladder, LADDER_MAGIC);
    enum bh_memory_level wanted = level_of(ladder, percent);
    wanted = wanted < limit ? wanted : limit;
    while (wanted > ladder->level)
        enter(ladder, (enum bh_memory_level)(ladder->level + 1), now_us);
    const bool is_below = wanted < ladder->level &&
                          (limit < ladder->level ||
                           percent < ladder->thresholds[ladder->level] - BH_MEMORY_HYSTERESIS);
    if (!is_below)
        ladder->below_since_us = BH_NEVER_US;
    else if (ladder->below_since_us == BH_NEVER_US)
        ladder->below_since_us = now_us;
    else if (now_us - ladder->below_since_us >= BH_MEMORY_HOLD_US)
        fall(ladder);
    return ladder->level;
}

void bh_memory_ladder_check(const struct bh_memory_ladder *const ladder)
{
    bh_magic_check(ladder, LADDER_MAGIC);
    bh_assert(ladder->level <= BH_MEMORY_CRITICAL);
    for (size_t i = 0; i < ladder->count; i++) {
        const struct step *const step = &ladder->steps[i];
        const bool stands = step->action.level <= ladder->level;
        bh_assert(stands || (!step->is_done && step->next_us == BH_NEVER_US));
        bh_assert(!stands || step->is_done || step->next_us != BH_NEVER_US);
    }
    bh_assert(ladder->level != BH_MEMORY_OK || ladder->below_since_us == BH_NEVER_US);
}
