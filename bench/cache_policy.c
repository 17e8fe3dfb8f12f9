/*
 * Hit rates of the cache on made-up traces, beside LRU and the clairvoyant limit (Belady: evicts
 * what is used last again), and what a look-up costs.
 *
 *     cache_policy rates          trace, then percent: ours, ours with a window of 1%, LRU, limit
 *     cache_policy cost THREADS   ns of processor time: hit, miss with the insertion that follows
 *
 * All entries are of one size, so that the limit is exact. Traces: zipf; scan (zipf with runs of
 * keys that never come again); loop (a circle somewhat larger than the cache); recent (keys come
 * again soon or never: made for LRU); mixed (all of these at once, and what is popular drifts).
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/cache/cache.h"

#define ACCESSES 400000u
#define CAPACITY 2000u /* entries */
#define UNIVERSE 50000u
#define NEVER UINT32_MAX

static uint64_t random_state = 42;

static uint64_t draw(void)
{
    uint64_t z = (random_state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static double draw_unit(void)
{
    return (double)(draw() >> 11) / 9007199254740992.0;
}

/* ---- Traces ---- */

struct trace {
    const char *name;
    uint32_t keys[ACCESSES];
};

static double cumulated[UNIVERSE];

static void prepare_zipf(const double exponent)
{
    double sum = 0;
    for (uint32_t i = 0; i < UNIVERSE; i++)
        cumulated[i] = sum += 1 / pow(i + 1, exponent);
    for (uint32_t i = 0; i < UNIVERSE; i++)
        cumulated[i] /= sum;
}

static uint32_t zipf(void)
{
    const double at = draw_unit();
    uint32_t low = 0, high = UNIVERSE - 1;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (cumulated[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A key that came lately, nearer ones more likely, or a new one. */
static uint32_t recent(const uint32_t *const keys, const uint32_t at, uint32_t *const fresh)
{
    const double back = -log(1 - draw_unit()) * CAPACITY * 0.7;
    if (draw_unit() < 0.4 || back + 1 > at)
        return (*fresh)++;
    return keys[at - 1 - (uint32_t)back];
}

enum kind { ZIPF, SCAN, LOOP, RECENT, MIXED, KINDS };
static const char *const names[KINDS] = { "zipf", "scan", "loop", "recent", "mixed" };

static uint32_t key_at(const enum kind kind, const uint32_t *const keys, const uint32_t at,
                       uint32_t *const fresh)
{
    switch (kind) {
    case ZIPF:
        return zipf();
    case SCAN:
        return at % 20000 < 6000 ? (*fresh)++ : zipf();
    case LOOP:
        return draw_unit() < 0.1 ? zipf() : UNIVERSE + at % (CAPACITY * 5 / 4);
    case RECENT:
        return recent(keys, at, fresh);
    case MIXED:
        switch (draw() % 8) {
        case 0:
            return (*fresh)++;
        case 1:
            return UNIVERSE + at / 8 % (CAPACITY * 5 / 4);
        case 2:
            return recent(keys, at, fresh);
        default:
            return (zipf() + at / 50000 * 20) % UNIVERSE;
        }
    case KINDS:
        break;
    }
    return 0;
}

static void make_trace(struct trace *const trace, const enum kind kind)
{
    uint32_t fresh = 2 * UNIVERSE;
    random_state = 42;
    trace->name = names[kind];
    for (uint32_t at = 0; at < ACCESSES; at++)
        trace->keys[at] = key_at(kind, trace->keys, at, &fresh);
}

/* ---- LRU and the limit ---- */

static uint32_t next_use[ACCESSES];

static void note_next_uses(const struct trace *const trace, uint32_t *const last)
{
    memset(last, 0xff, 2 * (UNIVERSE + ACCESSES) * sizeof(*last));
    for (uint32_t at = ACCESSES; at-- > 0;) {
        next_use[at] = last[trace->keys[at]];
        last[trace->keys[at]] = at;
    }
}

/* A heap of what is kept: by the time of the last use, the least first, or by the next, the
 * greatest first. Entries that were used again are left in it and passed over. */
struct heap {
    uint64_t items[2 * ACCESSES]; /* order << 32 | key */
    size_t count;
};

static void heap_add(struct heap *const heap, const uint64_t item)
{
    size_t at = heap->count++;
    for (; at > 0 && heap->items[(at - 1) / 2] > item; at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = item;
}

static uint64_t heap_pop(struct heap *const heap)
{
    const uint64_t least = heap->items[0], item = heap->items[--heap->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->items[child + 1] < heap->items[child])
            child++;
        if (heap->items[child] >= item)
            break;
        heap->items[at] = heap->items[child];
    }
    heap->items[at] = item;
    return least;
}

static double simulate(const struct trace *const trace, const bool is_clairvoyant)
{
    static struct heap heap;
    static uint32_t order_of[2 * (UNIVERSE + ACCESSES)]; /* of keys that are kept */
    memset(order_of, 0xff, sizeof(order_of));
    heap.count = 0;
    unsigned hits = 0, kept = 0;
    for (uint32_t at = 0; at < ACCESSES; at++) {
        const uint32_t key = trace->keys[at];
        const bool is_hit = order_of[key] != NEVER;
        hits += is_hit;
        if (is_clairvoyant && next_use[at] == NEVER) {
            kept -= is_hit;
            order_of[key] = NEVER;
            continue;
        }
        order_of[key] = is_clairvoyant ? NEVER - 1 - next_use[at] : at;
        heap_add(&heap, (uint64_t)order_of[key] << 32 | key);
        kept += !is_hit;
        while (kept > CAPACITY) {
            const uint64_t item = heap_pop(&heap);
            if (order_of[(uint32_t)item] == item >> 32) {
                order_of[(uint32_t)item] = NEVER;
                kept--;
            }
        }
    }
    return 100.0 * hits / ACCESSES;
}

/* ---- Ours ---- */

static struct bh_str key_text(const uint32_t key, char text[16])
{
    return (struct bh_str){ text, (size_t)snprintf(text, 16, "%010u", key) };
}

static struct bh_cache_value *make_value(void)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 256);
    bh_buf_append_str(&buf,
                      BH_STR("a value of some sixty-four bytes, as small as any could well be"));
    struct bh_cache_value *const value = bh_cache_value_take(&buf);
    bh_assert(value != NULL);
    return value;
}

static struct bh_cache *make_cache(const size_t bytes, const unsigned shards, const unsigned window)
{
    struct bh_cache *cache = NULL;
    const struct bh_cache_options options = {
        .name = "bench", .maximum_bytes = bytes, .shards = shards, .window_percent = window
    };
    const int result = bh_cache_create(&options, &cache);
    bh_assert(result == 0);
    return cache;
}

static bool look_up(struct bh_cache *const cache, const uint32_t key)
{
    char text[16];
    const struct bh_str name = key_text(key, text);
    struct bh_cache_value *value = bh_cache_get(cache, name, 0);
    const bool is_hit = value != NULL;
    if (!is_hit) {
        const struct bh_cache_ticket ticket = bh_cache_begin(cache, NULL, 0);
        const struct bh_cache_lifetime lifetime = { .ttl_us = BH_NEVER_US };
        value = make_value();
        const int result = bh_cache_put(cache, name, &ticket, lifetime, value, 0);
        bh_assert(result == 0);
    }
    bh_cache_value_unref(value);
    return is_hit;
}

static size_t entry_bytes(void)
{
    struct bh_cache *const cache = make_cache(1 << 20, 1, 1);
    struct bh_cache_statistics statistics;
    (void)look_up(cache, 1);
    bh_cache_statistics(cache, &statistics);
    bh_cache_destroy(cache);
    return statistics.bytes;
}

static double our_rate(const struct trace *const trace, const unsigned window)
{
    struct bh_cache *const cache = make_cache(CAPACITY * entry_bytes(), 1, window);
    unsigned hits = 0;
    for (uint32_t at = 0; at < ACCESSES; at++)
        hits += look_up(cache, trace->keys[at]);
    bh_cache_destroy(cache);
    return 100.0 * hits / ACCESSES;
}

static void print_rates(void)
{
    struct trace *const trace = malloc(sizeof(*trace));
    uint32_t *const last = malloc(2 * (UNIVERSE + ACCESSES) * sizeof(*last));
    bh_assert(trace != NULL && last != NULL);
    prepare_zipf(0.9);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        make_trace(trace, (enum kind)kind);
        note_next_uses(trace, last);
        printf("%s %.2f %.2f %.2f %.2f\n", trace->name, our_rate(trace, 0), our_rate(trace, 1),
               simulate(trace, false), simulate(trace, true));
    }
    free(last);
    free(trace);
}

/* ---- Cost ---- */

#define COST_KEYS 1000u
#define COST_CALLS 2000000u

struct worker {
    pthread_t id;
    struct bh_cache *cache;
    uint64_t state;
    double hit_ns, miss_ns;
};

/* Processor time of the calling thread. */
static uint64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *measure(void *const argument)
{
    struct worker *const worker = argument;
    uint64_t begin = thread_ns();
    unsigned hits = 0;
    for (unsigned i = 0; i < COST_CALLS; i++) {
        const uint32_t key =
            (uint32_t)((worker->state = worker->state * 6364136223846793005u + 1) >> 33);
        char text[16];
        struct bh_cache_value *const value = bh_cache_get(worker->cache,
                                                          key_text(key % COST_KEYS, text), 0);
        hits += value != NULL;
        bh_cache_value_unref(value);
    }
    worker->hit_ns = (double)(thread_ns() - begin) / COST_CALLS;
    bh_assert(hits == COST_CALLS);
    begin = thread_ns();
    const unsigned misses = COST_CALLS / 10;
    for (uint32_t i = 0; i < misses; i++)
        (void)look_up(worker->cache, (uint32_t)(COST_KEYS + worker->state % 1000 * 1000000 + i));
    worker->miss_ns = (double)(thread_ns() - begin) / misses;
    return NULL;
}

static void print_cost(const unsigned threads)
{
    struct bh_cache *const cache = make_cache((size_t)64 << 20, 0, 0);
    struct worker workers[16] = { 0 };
    bh_assert(threads > 0 && threads <= BH_COUNT_OF(workers));
    for (unsigned round = 0; round < 4; round++)
        for (uint32_t key = 0; key < COST_KEYS; key++)
            (void)look_up(cache, key);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].cache = cache;
        workers[i].state = i + 1;
        const int result = pthread_create(&workers[i].id, NULL, measure, &workers[i]);
        bh_assert(result == 0);
    }
    double hit = 0, miss = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].id, NULL);
        hit += workers[i].hit_ns / threads;
        miss += workers[i].miss_ns / threads;
    }
    bh_cache_destroy(cache);
    printf("%.0f %.0f\n", hit, miss);
}

int main(const int argc, char **const argv)
{
    if (argc == 2 && strcmp(argv[1], "rates") == 0)
        print_rates();
    else if (argc == 3 && strcmp(argv[1], "cost") == 0)
        print_cost((unsigned)strtoul(argv[2], NULL, 10));
    else
        return 2;
    return 0;
}
