/*
 * Owners are found in a table that only grows, without a lock; what is known of one is guarded by
 * its mutex.
 *
 * Reading the generation goes in rounds: a call is content with a round that began after it, and
 * all who come before the next one begins share that. Where every call needs one (the database has
 * no mark), rounds begin some time apart, a small part of what a kept answer costs to make: so a
 * database that is slow is asked less often, and one that is quick not more slowly. A round that
 * takes long is followed before it has ended: who came after its beginning waits for the next one,
 * not for both. A mark is taken before a round reads: while it stays, so does what the round found.
 *
 * The generation is read from the primary. Whoever finds a new one tells the database before
 * anybody else hears of it, so what is loaded for it comes from a server that has it.
 */
#include "cache/freshness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/changes.h"
#include "event.h"
#include "tomehub_sql.h"

#define BUCKETS 1024u
#define OWNERS_MAX 4096u
#define CHANGES_MAX 64 /* books invalidated one by one */
#define ARENA_BYTES 65536
#define UNKNOWN INT64_MAX /* no book was changed behind it */

#define PACE_SHARE 16 /* of a load's time: by it rounds begin apart */
#define PACE_MAX_US (20 * BH_MS_US)
#define LOAD_WEIGHT 8                  /* the newest load's in the mean is one in so many */
#define ROUNDS_MAX 4                   /* of an owner at a time */
#define OVERLAP_MIN_US (20 * BH_MS_US) /* what ends sooner is waited for */

struct owner {
    int64_t id;
    struct owner *chain; /* constant, as id */

    pthread_mutex_t mutex;           /* guards the rest */
    struct tome_library_state state; /* up to which all is invalidated; UNKNOWN at first */
    bool has_mark;
    uint64_t mark;             /* taken before the last round */
    uint64_t begun, completed; /* rounds: the number of the newest */
    uint64_t begun_us;         /* when the newest did */
    uint64_t took_us;          /* the last one that ended */
    unsigned running;
    struct tome_event ended;
};

struct tome_freshness {
    struct bh_db *db;
    struct bh_cache *cache;
    bool has_marks;           /* of what was committed: most calls need no round */
    _Atomic uint64_t load_us; /* what making an answer takes: a mean that forgets */
    _Atomic(struct owner *) buckets[BUCKETS];
    pthread_mutex_t mutex; /* of those who add */
    unsigned count;
};

/* ---- Tags ---- */

static uint64_t tag(const uint64_t kind, const int64_t owner_id, const int64_t id)
{
    uint64_t mixed = (uint64_t)owner_id * UINT64_C(0x9E3779B97F4A7C15) ^ kind;
    mixed = (mixed ^ (mixed >> 32)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed ^= (uint64_t)id * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

uint64_t tome_tag_owner(const int64_t owner_id)
{
    return tag(1, owner_id, 0);
}

uint64_t tome_tag_lists(const int64_t owner_id)
{
    return tag(2, owner_id, 0);
}

uint64_t tome_tag_book(const int64_t owner_id, const int64_t book_id)
{
    return tag(3, owner_id, book_id);
}

/* ---- Life ---- */

int tome_freshness_create(struct bh_db *const db, struct bh_cache *const cache,
                          struct tome_freshness **const ret_freshness)
{
    struct tome_freshness *const freshness = calloc(1, sizeof(*freshness));
    if (freshness == NULL)
        return BH_ENOMEM;
    freshness->db = db;
    freshness->cache = cache;
    freshness->has_marks = strcmp(bh_db_backend(db), "sqlite") == 0;
    pthread_mutex_init(&freshness->mutex, NULL);
    *ret_freshness = freshness;
    return 0;
}

void tome_freshness_destroy(struct tome_freshness *const freshness)
{
    if (freshness == NULL)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct owner *next;
        for (struct owner *owner = freshness->buckets[i]; owner != NULL; owner = next) {
            next = owner->chain;
            tome_event_fini(&owner->ended);
            pthread_mutex_destroy(&owner->mutex);
            free(owner);
        }
    }
    pthread_mutex_destroy(&freshness->mutex);
    free(freshness);
}

/* ---- Owners ---- */

static struct owner *find_in(_Atomic(struct owner *) *const bucket, const int64_t owner_id)
{
    struct owner *owner = atomic_load_explicit(bucket, memory_order_acquire);
    while (owner != NULL && owner->id != owner_id)
        owner = owner->chain;
    return owner;
}

static struct owner *add_to(struct tome_freshness *const freshness,
                            _Atomic(struct owner *) *const bucket, const int64_t owner_id)
{
    struct owner *const owner = freshness->count < OWNERS_MAX ? calloc(1, sizeof(*owner)) : NULL;
    if (owner == NULL)
        return NULL;
    owner->id = owner_id;
    owner->state.generation = UNKNOWN;
    pthread_mutex_init(&owner->mutex, NULL);
    tome_event_init(&owner->ended);
    owner->chain = atomic_load_explicit(bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, owner, memory_order_release);
    freshness->count++;
    return owner;
}

static struct owner *owner_of(struct tome_freshness *const freshness, const int64_t owner_id)
{
    _Atomic(struct owner *) *const bucket = &freshness->buckets[(uint64_t)owner_id % BUCKETS];
    struct owner *owner = find_in(bucket, owner_id);
    if (owner != NULL)
        return owner;
    pthread_mutex_lock(&freshness->mutex);
    owner = find_in(bucket, owner_id);
    if (owner == NULL)
        owner = add_to(freshness, bucket, owner_id);
    pthread_mutex_unlock(&freshness->mutex);
    return owner;
}

/* ---- A round ---- */

static bool is_same(const struct tome_library_state a, const struct tome_library_state b)
{
    return a.generation == b.generation && a.stamp == b.stamp;
}

/* (Of a library that was put back to an earlier state, nothing is told.)
 * Each change has a generation of its own, which its books carry until they are changed again. All
 * changes up to `generation` are told by the rows if each number stands in one. */
static bool tells_all(const struct bh_db_rows *const rows, const int64_t known,
                      const int64_t generation)
{
    bool seen[CHANGES_MAX] = { false };
    if (known == UNKNOWN || generation - known > CHANGES_MAX || rows->row_count > CHANGES_MAX)
        return false;
    int64_t count = 0;
    for (size_t i = 0; i < rows->row_count; i++) {
        const int64_t at = bh_db_int_at(rows, i, 2) - known - 1;
        if (bh_db_is_null_at(rows, i, 1) || at < 0 || at >= generation - known)
            return false;
        count += !seen[at];
        seen[at] = true;
    }
    return count == generation - known;
}

/* `known`: the owner's state when the rows were asked for. False: another round has found a newer
 * one since, and whether before this one looked or after it nobody can tell. */
static bool apply(struct tome_freshness *const freshness, struct owner *const owner,
                  const struct tome_library_state known, const struct bh_db_rows *const rows)
{
    const struct tome_library_state found = { bh_db_int_at(rows, 0, 0), bh_db_int_at(rows, 0, 3) };
    if (is_same(found, owner->state))
        return true;
    if (!is_same(known, owner->state))
        return false;
    /* First: a load that begins when the tags are new must not read what is old. */
    bh_db_note_seen(freshness->db);
    if (tells_all(rows, known.generation, found.generation)) {
        bh_cache_invalidate(freshness->cache, tome_tag_lists(owner->id));
        for (size_t i = 0; i < rows->row_count; i++)
            bh_cache_invalidate(freshness->cache,
                                tome_tag_book(owner->id, bh_db_int_at(rows, i, 1)));
    } else {
        bh_cache_invalidate(freshness->cache, tome_tag_owner(owner->id));
    }
    owner->state = found;
    return true;
}

static int read_changes(struct tome_freshness *const freshness, const struct owner *const owner,
                        const int64_t known, struct bh_arena **const ret_arena,
                        struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(owner->id), bh_db_int(known),
                                              bh_db_int(CHANGES_MAX + 1) };
    int result = bh_arena_create(ARENA_BYTES, ret_arena);
    if (result == 0)
        result = bh_db_query(freshness->db, BH_DB_READ, &TOME_SQL_LIBRARY_CHANGES, parameters,
                             BH_COUNT_OF(parameters), *ret_arena, ret_rows, reterr);
    if (result == 0 && ret_rows->row_count == 0)
        result = bh_error_set(reterr, BH_ENOTFOUND, "there is no owner %lld", (long long)owner->id);
    return result;
}

/* The owner's mutex is held, but not while the database is asked. */
static int run_round(struct tome_freshness *const freshness, struct owner *const owner,
                     struct bh_error *const reterr)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    struct bh_db_rows rows = { 0 };
    uint64_t mark = 0;
    const struct tome_library_state known = owner->state;
    const uint64_t number = ++owner->begun, begun_us = bh_time_now_us();
    owner->begun_us = begun_us;
    owner->running++;
    pthread_mutex_unlock(&owner->mutex);

    const bool has_mark = bh_db_change_mark(freshness->db, &mark);
    const int result = read_changes(freshness, owner, known.generation, &arena, &rows, reterr);

    pthread_mutex_lock(&owner->mutex);
    /* Who waits for a round is as content with a newer one, and that has told all by now. */
    if (result == 0 && number > owner->completed && apply(freshness, owner, known, &rows)) {
        owner->has_mark = has_mark;
        owner->mark = mark;
        owner->completed = number;
    }
    if (result != 0)
        owner->begun_us = 0; /* the next one need not wait */
    owner->took_us = bh_time_now_us() - begun_us;
    owner->running--;
    tome_event_raise(&owner->ended);
    return result;
}

/* ---- Waiting for one ---- */

static uint64_t later(const uint64_t a, const uint64_t b)
{
    return a > b ? a : b;
}

/* From when on another round may begin. */
static uint64_t next_round_us(const struct tome_freshness *const freshness,
                              const struct owner *const owner)
{
    if (freshness->has_marks)
        return owner->running == 0 ? 0 : BH_NEVER_US;
    if (owner->running == ROUNDS_MAX)
        return BH_NEVER_US;
    const uint64_t pace_us = atomic_load(&freshness->load_us) / PACE_SHARE;
    uint64_t apart_us = pace_us < PACE_MAX_US ? pace_us : PACE_MAX_US;
    if (owner->running > 0)
        apart_us = later(owner->took_us / ROUNDS_MAX, OVERLAP_MIN_US);
    return owner->begun_us + apart_us;
}

/* A round has ended, or `until_us` has come. The owner's mutex is held, but not while waiting. */
static int wait_until(struct owner *const owner, const uint64_t until_us,
                      struct bh_error *const reterr)
{
    const uint64_t seen = tome_event_count(&owner->ended);
    pthread_mutex_unlock(&owner->mutex);
    int result = tome_event_wait(&owner->ended, seen, until_us);
    pthread_mutex_lock(&owner->mutex);
    if (result == BH_ETIMEDOUT && bh_time_now_us() < bh_fiber_deadline())
        result = 0;
    return result == 0 ? 0
                       : bh_error_set(reterr, result, "while the library's generation is read: %s",
                                      bh_error_text(result));
}

/* Until a round that begins from now on is completed. */
static int await_round(struct tome_freshness *const freshness, struct owner *const owner,
                       struct bh_error *const reterr)
{
    const uint64_t wanted = owner->begun + 1;
    int result = 0;
    while (result == 0 && owner->completed < wanted) {
        const bool is_begun = owner->begun >= wanted && owner->running > 0; /* unless it fails */
        const uint64_t next_us = is_begun ? BH_NEVER_US : next_round_us(freshness, owner);
        result = next_us <= bh_time_now_us() ? run_round(freshness, owner, reterr)
                                             : wait_until(owner, next_us, reterr);
    }
    return result;
}

int tome_freshness_check(struct tome_freshness *const freshness, const int64_t owner_id,
                         struct bh_error *const reterr)
{
    struct owner *const owner = owner_of(freshness, owner_id);
    if (owner == NULL)
        return bh_error_set(reterr, BH_ELIMIT, "answers of so many owners are not kept");
    uint64_t mark = 0;
    const bool has_mark = bh_db_change_mark(freshness->db, &mark);
    pthread_mutex_lock(&owner->mutex);
    const bool is_fresh = has_mark && owner->has_mark && owner->mark == mark;
    const int result = is_fresh ? 0 : await_round(freshness, owner, reterr);
    pthread_mutex_unlock(&owner->mutex);
    return result;
}

bool tome_freshness_known(struct tome_freshness *const freshness, const int64_t owner_id,
                          struct tome_library_state *const ret_state)
{
    struct owner *const owner = owner_of(freshness, owner_id);
    if (owner == NULL)
        return false;
    pthread_mutex_lock(&owner->mutex);
    const struct tome_library_state state = owner->state;
    pthread_mutex_unlock(&owner->mutex);
    if (state.generation == UNKNOWN)
        return false;
    *ret_state = state;
    return true;
}

void tome_freshness_note_load(struct tome_freshness *const freshness, const uint64_t took_us)
{
    const uint64_t mean_us = atomic_load(&freshness->load_us);
    atomic_store(&freshness->load_us, mean_us - mean_us / LOAD_WEIGHT + took_us / LOAD_WEIGHT);
}
