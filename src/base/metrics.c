/*
 * Metrics: families, children, and the threads' blocks of slots.
 *
 * A child owns one slot (histograms: one for each bucket and one for the sum) at the same place in
 * every block. A thread takes a block at its first update and is its only writer, so an update is a
 * relaxed load and store; a sum reads all blocks. A thread that ends gives its block, with the
 * counts in it, to the next one. When all blocks are taken, further threads share a last one and
 * pay for an atomic addition.
 *
 * The mutex guards families, children and the hand-over of blocks; updates never take it.
 * Text formats are in metrics_expose.c.
 */
#include "bulkhead/base/metrics.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/metrics_private.h"
#include "bulkhead/base/assert.h"

#define BLOCKS_MAX 64
#define SHARED_BLOCK BLOCKS_MAX
#define SLOTS_MAX 4096
#define LABELS_BYTES_MAX 1024
/* Keeps a sum of 2^20 absurd durations away from overflow: 11 days. */
#define DURATION_MAX_US UINT64_C(1000000000000)

/* Slots 0 to METRICS_HISTOGRAM_SLOTS - 1 take what has no place left, and are not shown. */
#define SINK 0

enum slot_kind { SLOT_FREE, SLOT_SINK, SLOT_NUMBER, SLOT_HISTOGRAM };

struct block {
    alignas(64) _Atomic int64_t values[SLOTS_MAX];
};

struct metrics_shared bh_metrics_shared = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static struct block blocks[BLOCKS_MAX + 1];
static bool block_is_taken[BLOCKS_MAX]; /* guarded by the mutex */
static _Atomic size_t blocks_used;      /* blocks from here on were never written */
static _Thread_local struct block *own_block;
static pthread_key_t thread_exit_key;
static pthread_once_t thread_exit_once = PTHREAD_ONCE_INIT;

/* Guarded by the mutex; a slot's kind is constant once its handle is out. */
static enum slot_kind slot_kinds[SLOTS_MAX] = { [SINK] = SLOT_SINK };
static bh_metric slots_used = METRICS_HISTOGRAM_SLOTS;

/* ---- Blocks ---- */

static void give_back_block(void *const block)
{
    own_block = NULL;
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    block_is_taken[(struct block *)block - blocks] = false;
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
}

static void create_key(void)
{
    bh_assert(pthread_key_create(&thread_exit_key, give_back_block) == 0);
}

/* With the mutex held. The shared block when all are taken, or when this thread's end could not be
 * noticed. */
static size_t find_block(void)
{
    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        if (!block_is_taken[i])
            return pthread_setspecific(thread_exit_key, &blocks[i]) == 0 ? i : SHARED_BLOCK;
    }
    return SHARED_BLOCK;
}

/* Not inlined: an update would save registers for what happens once in a thread's life. */
static __attribute__((cold, noinline)) struct block *take_block(void)
{
    pthread_once(&thread_exit_once, create_key);
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    const size_t index = find_block();
    if (index != SHARED_BLOCK)
        block_is_taken[index] = true;
    if (index >= atomic_load_explicit(&blocks_used, memory_order_relaxed))
        atomic_store_explicit(&blocks_used, index + 1, memory_order_relaxed);
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
    own_block = &blocks[index];
    return own_block;
}

static void add(const bh_metric slot, const int64_t amount)
{
    struct block *const block = BH_LIKELY(own_block != NULL) ? own_block : take_block();
    _Atomic int64_t *const value = &block->values[slot];
    if (BH_UNLIKELY(block == &blocks[SHARED_BLOCK])) {
        atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

void bh_metrics_add(const bh_metric metric, const int64_t amount)
{
    bh_assert(metric >= 0 && metric < SLOTS_MAX);
    bh_assert(slot_kinds[metric] == SLOT_NUMBER || slot_kinds[metric] == SLOT_SINK);
    add(metric, amount);
}

void bh_metrics_observe_us(const bh_metric metric, const uint64_t duration_us)
{
    static const uint64_t bounds[] = METRICS_BOUNDS_US;
    _Static_assert(BH_COUNT_OF(bounds) == METRICS_BOUNDS_COUNT, "bounds and their count");
    bh_assert(metric >= 0 && metric < SLOTS_MAX);
    bh_assert(slot_kinds[metric] == SLOT_HISTOGRAM || slot_kinds[metric] == SLOT_SINK);
    int bucket = 0;
    while (bucket < METRICS_BOUNDS_COUNT && duration_us > bounds[bucket])
        bucket++;
    add(metric + bucket, 1);
    add(metric + METRICS_BUCKETS,
        (int64_t)(duration_us < DURATION_MAX_US ? duration_us : DURATION_MAX_US));
}

int64_t bh_metrics_value(const bh_metric metric)
{
    bh_assert(metric >= 0 && metric < SLOTS_MAX);
    const size_t count = atomic_load_explicit(&blocks_used, memory_order_relaxed);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += atomic_load_explicit(&blocks[i].values[metric], memory_order_relaxed);
    return sum;
}

/* ---- Families and children ---- */

static const struct bh_metric_family own_families[] = { BH_METRIC_FAMILY(
    COUNTER, "metrics_children_refused_total",
    "Label sets that found no room and were counted as \"other\".") };

size_t bh_metrics_slots(const enum bh_metric_type type)
{
    return type == BH_METRIC_HISTOGRAM ? METRICS_HISTOGRAM_SLOTS : 1;
}

static bool is_name(const char *const name, const bool may_have_colon)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        const char byte = name[i];
        const bool is_letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
        const bool is_digit = byte >= '0' && byte <= '9';
        if (!is_letter && byte != '_' && !(is_digit && i > 0) && !(byte == ':' && may_have_colon))
            return false;
    }
    return name[0] != '\0';
}

static size_t count_labels(const struct bh_metric_family *const family)
{
    size_t count = 0;
    while (count < BH_METRIC_LABELS_MAX && family->labels[count])
        count++;
    return count;
}

/* The name both formats and all samples of a family begin with. */
static struct bh_str base_name(const struct bh_metric_family *const family)
{
    struct bh_str name = bh_str_from(family->name);
    if (family->type == BH_METRIC_COUNTER)
        name.size -= strlen("_total");
    return name;
}

/* Mistakes in a .def file show at the first start. */
static void check_declaration(const struct bh_metric_family *const family)
{
    bh_assert(is_name(family->name, true));
    bh_assert((family->type == BH_METRIC_COUNTER) ==
              bh_str_ends_with(bh_str_from(family->name), BH_STR("_total")));
    bh_assert(family->help && bh_str_is_utf8(bh_str_from(family->help)));
    for (size_t i = 0; i < count_labels(family); i++) {
        bh_assert(is_name(family->labels[i], false) && strncmp(family->labels[i], "__", 2) != 0);
        bh_assert(strcmp(family->labels[i], "le") != 0);
    }
}

static void check_same_declaration(const struct bh_metric_family *const one,
                                   const struct bh_metric_family *const two)
{
    bh_assert(one->type == two->type && strcmp(one->name, two->name) == 0);
    bh_assert(count_labels(one) == count_labels(two));
    for (size_t i = 0; i < count_labels(one); i++)
        bh_assert(strcmp(one->labels[i], two->labels[i]) == 0);
}

/* With the mutex held. NULL: no slots or no memory. */
static struct metrics_child *create_child(struct metrics_family *const family,
                                          const struct bh_str labels)
{
    const bh_metric slots = (bh_metric)bh_metrics_slots(family->declared->type);
    if (slots_used > SLOTS_MAX - slots)
        return NULL;
    struct metrics_child *const child = malloc(sizeof(*child) + labels.size + 1);
    if (!child)
        return NULL;
    child->next = NULL;
    child->slot = slots_used;
    child->read = NULL;
    child->read_argument = NULL;
    if (labels.size > 0)
        memcpy(child->labels, labels.data, labels.size);
    child->labels[labels.size] = '\0';
    slots_used += slots;
    slot_kinds[child->slot] = family->declared->type == BH_METRIC_HISTOGRAM ? SLOT_HISTOGRAM
                                                                            : SLOT_NUMBER;
    return child;
}

static void link_child(struct metrics_family *const family, struct metrics_child *const child)
{
    if (family->last)
        family->last->next = child;
    else
        family->first = child;
    family->last = child;
}

static void append_label_value(struct bh_buf *const buf, const char *const value)
{
    struct bh_str rest = bh_str_from(value);
    while (rest.size > 0) {
        const size_t sequence = bh_str_utf8_sequence(rest.data, rest.size);
        if (sequence == 0)
            bh_buf_append_str(buf, BH_STR("\uFFFD"));
        else if (*rest.data == '\n')
            bh_buf_append_str(buf, BH_STR("\\n"));
        else if (*rest.data == '"' || *rest.data == '\\')
            bh_buf_append(buf, (const char[2]){ '\\', *rest.data }, 2);
        else
            bh_buf_append(buf, rest.data, sequence);
        rest.data += sequence > 0 ? sequence : 1;
        rest.size -= sequence > 0 ? sequence : 1;
    }
}

static void append_labels(struct bh_buf *const buf, const struct bh_metric_family *const family,
                          const char *const *const values, const size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            bh_buf_append_byte(buf, ',');
        bh_buf_append_str(buf, bh_str_from(family->labels[i]));
        bh_buf_append_str(buf, BH_STR("=\""));
        append_label_value(buf, values[i]);
        bh_buf_append_byte(buf, '"');
    }
}

/* A family without labels shows its zero from the start; one with labels keeps room for "other". */
static void create_first_child(struct metrics_family *const family)
{
    static const char *const other[BH_METRIC_LABELS_MAX] = { "other", "other", "other", "other" };
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf labels;
    bh_buf_init(&labels, LABELS_BYTES_MAX);
    append_labels(&labels, family->declared, other, family->labels_count);
    if (bh_buf_error(&labels))
        return;
    struct metrics_child *const child = create_child(family, bh_buf_peek(&labels));
    if (child && family->labels_count == 0)
        link_child(family, child);
    else
        family->other = child;
}

/* With the mutex held. Returns the id. */
static int register_family(const struct bh_metric_family *const declared)
{
    struct metrics_shared *const shared = &bh_metrics_shared;
    check_declaration(declared);
    for (size_t i = 0; i < shared->families_count; i++) {
        if (bh_str_equal(base_name(shared->families[i].declared), base_name(declared))) {
            check_same_declaration(shared->families[i].declared, declared);
            return (int)i + 1;
        }
    }
    bh_assert(shared->families_count < METRICS_FAMILIES_MAX);
    struct metrics_family *const family = &shared->families[shared->families_count++];
    family->declared = declared;
    family->labels_count = count_labels(declared);
    create_first_child(family);
    return (int)shared->families_count;
}

/* With the mutex held: the family that counts what found no room is always the first. */
static void register_own(void)
{
    if (bh_metrics_shared.families_count == 0)
        (void)register_family(&own_families[0]);
}

void bh_metrics_register(struct bh_metric_family *const families, const size_t count)
{
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    register_own();
    for (size_t i = 0; i < count; i++)
        families[i].id = register_family(&families[i]);
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
}

/* With the mutex held. */
static struct metrics_family *find_family(const struct bh_metric_family *const family)
{
    bh_assert(family->id > 0 && (size_t)family->id <= bh_metrics_shared.families_count);
    return &bh_metrics_shared.families[family->id - 1];
}

/* With the mutex held. */
static struct metrics_child *find_child(struct metrics_family *const family,
                                        const struct bh_str labels)
{
    for (struct metrics_child *child = family->first; child; child = child->next) {
        if (bh_str_equal(bh_str_from(child->labels), labels))
            return child;
    }
    struct metrics_child *const child = create_child(family, labels);
    if (child)
        link_child(family, child);
    return child;
}

bh_metric bh_metrics_child(const struct bh_metric_family *const family,
                           const char *const *const values, const size_t count)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf labels;
    bh_buf_init(&labels, LABELS_BYTES_MAX);
    append_labels(&labels, family, values, count);

    bh_metric refused = SINK;
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    struct metrics_family *const known = find_family(family);
    bh_assert(count == known->labels_count);
    struct metrics_child *child = NULL;
    if (!bh_buf_error(&labels))
        child = find_child(known, bh_buf_peek(&labels));
    if (!child) {
        child = known->other;
        known->other_is_used = child != NULL;
        if (bh_metrics_shared.families[0].first)
            refused = bh_metrics_shared.families[0].first->slot;
    }
    const bh_metric slot = child ? child->slot : SINK;
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
    if (refused != SINK)
        bh_metrics_add(refused, 1);
    return slot;
}

void bh_metrics_gauge_callback(const struct bh_metric_family *const family,
                               double (*const read)(void *argument), void *const argument)
{
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    struct metrics_family *const known = find_family(family);
    bh_assert(known->labels_count == 0 && family->type != BH_METRIC_HISTOGRAM);
    known->read = read;
    known->read_argument = argument;
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
}

void bh_metrics_child_callback(const struct bh_metric_family *const family, const bh_metric metric,
                               double (*const read)(void *argument), void *const argument)
{
    bh_assert(family->type != BH_METRIC_HISTOGRAM);
    pthread_mutex_lock(&bh_metrics_shared.mutex);
    struct metrics_child *child = find_family(family)->first;
    while (child && child->slot != metric)
        child = child->next;
    if (child && (read || child->read_argument == argument)) {
        child->read = read;
        child->read_argument = argument;
    }
    pthread_mutex_unlock(&bh_metrics_shared.mutex);
}
