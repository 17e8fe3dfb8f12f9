#include "cache/policy.h"

#include "bulkhead/base/assert.h"

#define WINDOW_PERCENT 1    /* where climbing begins */
#define PROTECTED_SHARE 0.8 /* of the main part */
#define AGING_FACTOR 10     /* look-ups for each entry until counts are halved */
#define CLIMB_FACTOR 2      /* look-ups for each entry between two steps */
#define SAMPLE_MIN 1024     /* look-ups */
#define STEP_FIRST 0.0625   /* of the maximum */
#define STEP_DECAY 0.98     /* while the hit rate keeps still */
#define RESTART_CHANGE 0.1  /* of the hit rate */
#define WINDOW_SHARE_MAX 0.8
#define WINDOW_SHARE_MIN 0.002

static void set_window(struct bh_cache_policy *const policy, const double share)
{
    policy->window_maximum = (size_t)((double)policy->maximum * share);
    const size_t main_maximum = policy->maximum - policy->window_maximum;
    policy->protected_maximum = (size_t)((double)main_maximum * PROTECTED_SHARE);
}

int bh_cache_policy_init(struct bh_cache_policy *const policy, const size_t maximum,
                         const size_t entries, const unsigned window_percent)
{
    *policy = (struct bh_cache_policy){ .maximum = maximum,
                                        .is_climbing = window_percent == 0,
                                        .step = STEP_FIRST };
    for (unsigned i = 0; i < BH_CACHE_SEGMENTS; i++)
        bh_list_init(&policy->segments[i]);
    set_window(policy, (window_percent ? window_percent : WINDOW_PERCENT) / 100.0);
    return bh_cache_sketch_init(&policy->sketch, entries);
}

void bh_cache_policy_fini(struct bh_cache_policy *const policy)
{
    bh_cache_sketch_fini(&policy->sketch);
}

/* ---- Segments ---- */

static struct bh_cache_entry *last_of(const struct bh_cache_policy *const policy,
                                      const enum bh_cache_segment segment)
{
    const struct bh_list *const list = &policy->segments[segment];
    return bh_list_is_empty(list) ? NULL : BH_LIST_ENTRY(list->prev, struct bh_cache_entry, node);
}

static void enter(struct bh_cache_policy *const policy, struct bh_cache_entry *const entry,
                  const enum bh_cache_segment segment)
{
    entry->segment = segment;
    policy->sizes[segment] += entry->cost;
    bh_list_prepend(&policy->segments[segment], &entry->node);
}

static void leave(struct bh_cache_policy *const policy, struct bh_cache_entry *const entry)
{
    policy->sizes[entry->segment] -= entry->cost;
    bh_list_unlink(&entry->node);
}

static void move(struct bh_cache_policy *const policy, struct bh_cache_entry *const entry,
                 const enum bh_cache_segment segment)
{
    leave(policy, entry);
    enter(policy, entry, segment);
}

static void evict(struct bh_cache_policy *const policy, struct bh_cache_entry *const entry,
                  struct bh_list *const evicted)
{
    bh_cache_policy_remove(policy, entry);
    bh_list_append(evicted, &entry->node);
    policy->evictions++;
}

/* What is too much under protection goes back on probation. */
static void demote(struct bh_cache_policy *const policy)
{
    while (policy->sizes[BH_CACHE_PROTECTED] > policy->protected_maximum)
        move(policy, last_of(policy, BH_CACHE_PROTECTED), BH_CACHE_PROBATION);
}

/* ---- Climbing ---- */

static uint64_t sample_of(const struct bh_cache_policy *const policy, const unsigned factor)
{
    const uint64_t sample = factor * (uint64_t)policy->count;
    return sample > SAMPLE_MIN ? sample : SAMPLE_MIN;
}

static double within(const double value, const double least, const double most)
{
    return value < least ? least : value > most ? most : value;
}

/* After each sample the window changes by a step: in the same direction while the hit rate rises,
 * back when it falls. The steps become smaller; when the rate jumps, the load is another one, and
 * they are large again. */
static void climb(struct bh_cache_policy *const policy)
{
    const double rate = (double)policy->hits / (double)(policy->hits + policy->misses);
    const double change = rate - policy->last_rate;
    const double step = change >= 0 ? policy->step : -policy->step;
    const double share = (double)policy->window_maximum / (double)policy->maximum + step;
    const bool is_jump = change >= RESTART_CHANGE || change <= -RESTART_CHANGE;
    policy->step = !is_jump ? step * STEP_DECAY : step > 0 ? STEP_FIRST : -STEP_FIRST;
    policy->last_rate = rate;
    policy->hits = policy->misses = 0;
    set_window(policy, within(share, WINDOW_SHARE_MIN, WINDOW_SHARE_MAX));
    demote(policy);
    while (policy->sizes[BH_CACHE_WINDOW] > policy->window_maximum)
        move(policy, last_of(policy, BH_CACHE_WINDOW), BH_CACHE_PROBATION);
}

void bh_cache_policy_use(struct bh_cache_policy *const policy, const uint64_t hash,
                         struct bh_cache_entry *const entry)
{
    bh_cache_sketch_add(&policy->sketch, hash, sample_of(policy, AGING_FACTOR));
    if (entry != NULL) {
        policy->hits++;
        const bool is_window = entry->segment == BH_CACHE_WINDOW;
        move(policy, entry, is_window ? BH_CACHE_WINDOW : BH_CACHE_PROTECTED);
        if (!is_window)
            demote(policy);
    } else {
        policy->misses++;
    }
    if (policy->is_climbing && policy->hits + policy->misses >= sample_of(policy, CLIMB_FACTOR))
        climb(policy);
}

/* ---- Making room ---- */

static bool is_void(const struct bh_cache_entry *const entry, const struct bh_cache_moment moment)
{
    return moment.now_us >= entry->stale_until_us ||
           !bh_cache_tags_hold(moment.tags, &entry->ticket);
}

/* Those used longest ago in the main part, from the one behind `after` (NULL: the first); on
 * probation first. */
static struct bh_cache_entry *next_victim(const struct bh_cache_policy *const policy,
                                          const struct bh_cache_entry *const after)
{
    enum bh_cache_segment segment = BH_CACHE_PROBATION;
    if (after != NULL) {
        segment = after->segment;
        if (after->node.prev != &policy->segments[segment])
            return BH_LIST_ENTRY(after->node.prev, struct bh_cache_entry, node);
        if (segment == BH_CACHE_PROTECTED)
            return NULL;
        return last_of(policy, BH_CACHE_PROTECTED);
    }
    struct bh_cache_entry *const first = last_of(policy, segment);
    return first != NULL ? first : last_of(policy, BH_CACHE_PROTECTED);
}

/* Void entries are never used again, so they gather at the ends. */
static void drop_void(struct bh_cache_policy *const policy, const struct bh_cache_moment moment,
                      struct bh_list *const evicted)
{
    for (unsigned i = 0; i < BH_CACHE_SEGMENTS; i++) {
        struct bh_cache_entry *last;
        while (bh_cache_policy_size(policy) > policy->maximum &&
               (last = last_of(policy, (enum bh_cache_segment)i)) != NULL && is_void(last, moment))
            evict(policy, last, evicted);
    }
}

/* Whether `candidate` was seen more often than those who would have to go for it. */
static bool is_worth(const struct bh_cache_policy *const policy,
                     const struct bh_cache_entry *const candidate, const size_t excess)
{
    const unsigned worth = bh_cache_sketch_count(&policy->sketch, candidate->hash);
    unsigned lost = 0;
    size_t freed = 0;
    const struct bh_cache_entry *victim = NULL;
    while (freed < excess && (victim = next_victim(policy, victim)) != NULL) {
        freed += victim->cost;
        lost += bh_cache_sketch_count(&policy->sketch, victim->hash);
        if (lost >= worth)
            return false;
    }
    return freed >= excess;
}

static void evict_from_main(struct bh_cache_policy *const policy, struct bh_list *const evicted)
{
    struct bh_cache_entry *victim;
    while (bh_cache_policy_size(policy) > policy->maximum &&
           (victim = next_victim(policy, NULL)) != NULL)
        evict(policy, victim, evicted);
}

static void make_room(struct bh_cache_policy *const policy, const struct bh_cache_moment moment,
                      struct bh_list *const evicted)
{
    drop_void(policy, moment, evicted);
    while (policy->sizes[BH_CACHE_WINDOW] > policy->window_maximum) {
        struct bh_cache_entry *const candidate = last_of(policy, BH_CACHE_WINDOW);
        const size_t size = bh_cache_policy_size(policy);
        if (size > policy->maximum && !is_worth(policy, candidate, size - policy->maximum)) {
            evict(policy, candidate, evicted);
            policy->rejections++;
            continue;
        }
        /* Out of the way of its victims, then behind them. */
        evict_from_main(policy, evicted);
        move(policy, candidate, BH_CACHE_PROBATION);
    }
    evict_from_main(policy, evicted);
    while (bh_cache_policy_size(policy) > policy->maximum)
        evict(policy, last_of(policy, BH_CACHE_WINDOW), evicted);
}

void bh_cache_policy_add(struct bh_cache_policy *const policy, struct bh_cache_entry *const entry,
                         const struct bh_cache_moment moment, struct bh_list *const evicted)
{
    enter(policy, entry, BH_CACHE_WINDOW);
    policy->count++;
    make_room(policy, moment, evicted);
}

void bh_cache_policy_remove(struct bh_cache_policy *const policy,
                            struct bh_cache_entry *const entry)
{
    leave(policy, entry);
    policy->count--;
}

void bh_cache_policy_set_maximum(struct bh_cache_policy *const policy, const size_t maximum,
                                 const struct bh_cache_moment moment, struct bh_list *const evicted)
{
    const double share = (double)policy->window_maximum / (double)policy->maximum;
    policy->maximum = maximum;
    set_window(policy, share);
    demote(policy);
    make_room(policy, moment, evicted);
}

void bh_cache_policy_check(const struct bh_cache_policy *const policy)
{
    size_t count = 0;
    for (unsigned i = 0; i < BH_CACHE_SEGMENTS; i++) {
        size_t size = 0;
        BH_LIST_FOREACH(node, &policy->segments[i]) {
            const struct bh_cache_entry *const entry = BH_LIST_ENTRY(node, struct bh_cache_entry,
                                                                     node);
            bh_assert(entry->segment == i);
            size += entry->cost;
            count++;
        }
        bh_assert(size == policy->sizes[i]);
    }
    bh_assert(count == policy->count);
    bh_assert(bh_cache_policy_size(policy) <= policy->maximum);
    bh_assert(policy->sizes[BH_CACHE_WINDOW] <= policy->window_maximum);
    bh_assert(policy->sizes[BH_CACHE_PROTECTED] <= policy->protected_maximum);
}
