#include "cache/policy.h"

#include "bulkhead/base/assert.h"

#define WINDOW_PERCENT 1    /* where climbing begins */
#define PROTECTED_SHARE 0.8 /* of the main part */
#define AGING_FACTOR 10     /* look-ups for each entry until counts are halved */
#define AGING_MIN 1024
#define LOOK_SHARE 16 /* look-ups between two looks at the window, of the entries */
#define LOOK_MIN 64
#define REJECTED_SHARE 0.0625 /* of the maximum: how far back a rejection is regretted */
#define REGRET_WEIGHT 1.25    /* the marginal bytes of probation are worth less than its mean */
#define PROBATION_SHARE_MIN 0.002
#define EVIDENCE_MIN 16 /* look-ups that speak for one side or the other, for a step */
#define PACE_MAX 0.25   /* of the maximum */
#define PACE_MIN 0.003
#define PACE_FASTER 1.4 /* while it goes in one direction */
#define PACE_SLOWER 0.5 /* when it turns */
#define WINDOW_SHARE_MAX 0.998
#define WINDOW_SHARE_MIN 0.005

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
                                        .is_growing = true,
                                        .pace = PACE_MAX,
                                        .until_look = LOOK_MIN };
    for (unsigned i = 0; i < BH_CACHE_SEGMENTS; i++)
        bh_list_init(&policy->segments[i]);
    set_window(policy, (window_percent ? window_percent : WINDOW_PERCENT) / 100.0);
    const int result = bh_cache_rejected_init(&policy->rejected, entries);
    return result ? result : bh_cache_sketch_init(&policy->sketch, entries);
}

void bh_cache_policy_fini(struct bh_cache_policy *const policy)
{
    bh_cache_sketch_fini(&policy->sketch);
    bh_cache_rejected_fini(&policy->rejected);
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

static uint64_t at_least(const uint64_t value, const uint64_t least)
{
    return value > least ? value : least;
}

static double within(const double value, const double least, const double most)
{
    return value < least ? least : value > most ? most : value;
}

static size_t rejected_span(const struct bh_cache_policy *const policy)
{
    return (size_t)((double)policy->maximum * REJECTED_SHARE);
}

/* How much more the window's next bytes would hit than those of probation, or less: 1 to -1. False:
 * too little was seen to say. */
static bool weigh(const struct bh_cache_policy *const policy, double *const ret_lean)
{
    const double least = (double)policy->maximum * PROBATION_SHARE_MIN;
    const double size = (double)policy->sizes[BH_CACHE_PROBATION];
    const double gain = (double)policy->regrets * REGRET_WEIGHT;
    const double loss = (double)policy->probation_hits * (double)rejected_span(policy) /
                        (size > least ? size : least);
    if (gain + loss < EVIDENCE_MIN)
        return false;
    *ret_lean = (gain - loss) / (gain + loss);
    return true;
}

/* Steps are long while they go one way, and where the two sides differ much. */
static void climb(struct bh_cache_policy *const policy)
{
    double lean;
    policy->until_look = at_least(policy->count / LOOK_SHARE, LOOK_MIN);
    if (!policy->is_climbing || !weigh(policy, &lean))
        return;
    const bool is_growing = lean > 0;
    const double factor = is_growing == policy->is_growing ? PACE_FASTER : PACE_SLOWER;
    policy->is_growing = is_growing;
    policy->pace = within(policy->pace * factor, PACE_MIN, PACE_MAX);
    const double step = policy->pace * lean * (is_growing ? lean : -lean);
    const double share = (double)policy->window_maximum / (double)policy->maximum + step;
    policy->regrets = policy->probation_hits = 0;
    set_window(policy, within(share, WINDOW_SHARE_MIN, WINDOW_SHARE_MAX));
    demote(policy);
    while (policy->sizes[BH_CACHE_WINDOW] > policy->window_maximum)
        move(policy, last_of(policy, BH_CACHE_WINDOW), BH_CACHE_PROBATION);
}

void bh_cache_policy_use(struct bh_cache_policy *const policy, const uint64_t hash,
                         struct bh_cache_entry *const entry)
{
    bh_cache_sketch_add(&policy->sketch, hash, at_least(AGING_FACTOR * policy->count, AGING_MIN));
    if (entry != NULL) {
        const bool is_window = entry->segment == BH_CACHE_WINDOW;
        policy->probation_hits += entry->segment == BH_CACHE_PROBATION;
        move(policy, entry, is_window ? BH_CACHE_WINDOW : BH_CACHE_PROTECTED);
        if (!is_window)
            demote(policy);
    } else if (bh_cache_rejected_take(&policy->rejected, hash, rejected_span(policy))) {
        policy->regrets++;
    }
    if (--policy->until_look == 0)
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
            bh_cache_rejected_add(&policy->rejected, candidate->hash, candidate->cost);
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
    bh_assert(policy->window_maximum + policy->protected_maximum <= policy->maximum);
    bh_assert(policy->until_look > 0);
}
