#include "db/pool/pool_budget.h"

#include "bulkhead/base/log.h"

/* A connection that has just become idle is likely to be wanted again where it is. */
#define GIVE_IDLE_US (20 * BH_MS_US)
#define YIELD_AFTER_US (100 * BH_MS_US)

static struct bh_pool_shard *shard_of(struct bh_list *const node)
{
    return BH_LIST_ENTRY(node, struct bh_pool_shard, claim.node);
}

static void wake(struct bh_pool_shard *const shard)
{
    if (!atomic_exchange(&shard->is_woken, true))
        shard->hooks->wake(shard->hooks_context);
}

void bh_pool_budget_wake_all(struct bh_pool *const pool)
{
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        if (pool->shared.shards[i])
            wake(pool->shared.shards[i]);
    }
}

/* Locks, and returns the time: that of the shard furthest ahead. */
static uint64_t enter(struct bh_pool_shard *const shard)
{
    struct bh_pool *const pool = shard->pool;
    pthread_mutex_lock(&pool->shared.mutex);
    if (shard->now_us > pool->shared.now_us)
        pool->shared.now_us = shard->now_us;
    return pool->shared.now_us;
}

/* ---- The line; all under the lock ---- */

static bool has_token(const struct bh_pool *const pool, const struct bh_pool_claim *const claim,
                      const uint64_t now_us)
{
    const unsigned used = bh_pool_load(&pool->used);
    unsigned limit = bh_pool_load(&pool->maximum) + bh_pool_load(&pool->overflow);
    if (!claim->is_high)
        limit -= pool->options.reserve;
    return used < limit && used < bh_pool_breaker_ceiling(&pool->shared.breaker, now_us);
}

static struct bh_pool_shard *next_in_line(struct bh_pool *const pool, const uint64_t now_us)
{
    struct bh_pool_shard *patient = NULL;
    uint64_t retry_us;
    if (!bh_pool_breaker_allows(&pool->shared.breaker, now_us, &retry_us))
        return NULL;
    BH_LIST_FOREACH(node, &pool->shared.line) {
        struct bh_pool_shard *const shard = shard_of(node);
        if (!has_token(pool, &shard->claim, now_us))
            continue;
        if (shard->claim.is_urgent)
            return shard;
        if (!patient)
            patient = shard;
    }
    return patient;
}

/* What was told in an earlier hunger holds no more; who is woken tells anew. */
static void forget_longest(struct bh_pool *const pool)
{
    for (unsigned i = 0; i < pool->options.shard_count; i++) {
        if (pool->shared.shards[i])
            pool->shared.shards[i]->longest.since_us = 0;
    }
}

/* After every change: the hungry are counted anew, others are asked to give, and who is next is
 * woken. */
static void look_after_line(struct bh_pool *const pool, const struct bh_pool_shard *const self,
                            const uint64_t now_us)
{
    unsigned hungry = 0;
    BH_LIST_FOREACH(node, &pool->shared.line) {
        const struct bh_pool_claim *const claim = &shard_of(node)->claim;
        hungry += claim->is_urgent && !has_token(pool, claim, now_us);
    }
    const unsigned before = bh_pool_load(&pool->hungry);
    atomic_store_explicit(&pool->hungry, hungry, memory_order_relaxed);
    if (before == 0 && hungry > 0)
        forget_longest(pool);
    if (hungry > before)
        bh_pool_budget_wake_all(pool);
    struct bh_pool_shard *const next = next_in_line(pool, now_us);
    if (next && next != self)
        wake(next);
}

static void enter_line(struct bh_pool_shard *const shard, const bool is_urgent, const bool is_high)
{
    struct bh_pool_claim *const claim = &shard->claim;
    if (!claim->is_in_line) {
        claim->is_in_line = true;
        claim->since_us = shard->pool->shared.now_us;
        bh_list_append(&shard->pool->shared.line, &claim->node);
    }
    claim->is_urgent = is_urgent;
    claim->is_high = is_high;
}

static void leave_line(struct bh_pool_shard *const shard)
{
    shard->claim.is_in_line = false;
    bh_list_unlink(&shard->claim.node);
}

/* ---- Claims ---- */

/* When a claim that cannot be served now may be, if nobody gives anything back. */
static uint64_t retry_at(const struct bh_pool *const pool, const uint64_t now_us)
{
    uint64_t retry_us;
    bh_pool_breaker_allows(&pool->shared.breaker, now_us, &retry_us);
    const struct bh_pool_breaker *const breaker = &pool->shared.breaker;
    if (bh_pool_breaker_ceiling(breaker, now_us) != BH_POOL_CEILING_NONE &&
        breaker->ceiling_until_us < retry_us)
        retry_us = breaker->ceiling_until_us;
    return retry_us;
}

bool bh_pool_budget_claim(struct bh_pool_shard *const shard, const bool is_urgent,
                          const bool is_high, uint64_t *const ret_limit_us,
                          uint64_t *const ret_retry_us)
{
    struct bh_pool *const pool = shard->pool;
    const uint64_t now_us = enter(shard);
    enter_line(shard, is_urgent, is_high);
    const bool is_taken = next_in_line(pool, now_us) == shard;
    if (is_taken) {
        leave_line(shard);
        shard->claim.held++;
        bh_pool_change(&pool->used, 1);
        *ret_limit_us = pool->options.host_count *
                        bh_pool_breaker_begin(&pool->shared.breaker, now_us,
                                              pool->options.connect_timeout_us);
    } else {
        *ret_retry_us = retry_at(pool, now_us);
    }
    look_after_line(pool, shard, now_us);
    pthread_mutex_unlock(&pool->shared.mutex);
    return is_taken;
}

void bh_pool_budget_unclaim(struct bh_pool_shard *const shard)
{
    /* Read without the lock: only this thread writes it. */
    if (!shard->claim.is_in_line)
        return;
    struct bh_pool *const pool = shard->pool;
    const uint64_t now_us = enter(shard);
    leave_line(shard);
    look_after_line(pool, shard, now_us);
    pthread_mutex_unlock(&pool->shared.mutex);
}

void bh_pool_budget_return(struct bh_pool_shard *const shard, const bool was_given)
{
    struct bh_pool *const pool = shard->pool;
    const uint64_t now_us = enter(shard);
    bh_assert(shard->claim.held > 0 && bh_pool_load(&pool->used) > 0);
    shard->claim.held--;
    bh_pool_change(&pool->used, -1);
    if (was_given) {
        bh_assert(pool->shared.giving > 0);
        pool->shared.giving--;
    }
    look_after_line(pool, NULL, now_us);
    pthread_mutex_unlock(&pool->shared.mutex);
}

/* ---- Giving ---- */

static bool give(struct bh_pool *const pool, const bool is_due)
{
    if (!is_due || pool->shared.giving >= bh_pool_load(&pool->hungry))
        return false;
    pool->shared.giving++;
    return true;
}

bool bh_pool_budget_gives_idle(struct bh_pool_shard *const shard, const uint64_t idle_us)
{
    struct bh_pool *const pool = shard->pool;
    pthread_mutex_lock(&pool->shared.mutex);
    bool is_due = false;
    BH_LIST_FOREACH(node, &pool->shared.line) {
        const struct bh_pool_shard *const other = shard_of(node);
        is_due |= other != shard && other->claim.is_urgent &&
                  (idle_us >= GIVE_IDLE_US || other->claim.held == 0);
    }
    const bool gives = give(pool, is_due);
    pthread_mutex_unlock(&pool->shared.mutex);
    if (!gives && idle_us < GIVE_IDLE_US)
        bh_pool_wakeup(shard, bh_pool_later(shard->now_us, GIVE_IDLE_US - idle_us));
    return gives;
}

bool bh_pool_budget_yields(struct bh_pool_shard *const shard)
{
    struct bh_pool *const pool = shard->pool;
    const uint64_t now_us = enter(shard);
    const unsigned limit = bh_pool_load(&pool->maximum) + bh_pool_load(&pool->overflow);
    const unsigned share = limit / pool->options.shard_count;
    bool is_due = false;
    BH_LIST_FOREACH(node, &pool->shared.line) {
        const struct bh_pool_claim *const claim = &shard_of(node)->claim;
        is_due |= claim != &shard->claim && claim->is_urgent &&
                  claim->held < (share > 1 ? share : 1) &&
                  now_us >= bh_pool_later(claim->since_us, YIELD_AFTER_US);
    }
    const bool gives = give(pool, is_due && shard->claim.held > share);
    pthread_mutex_unlock(&pool->shared.mutex);
    return gives;
}

/* ---- The host ---- */

static void keep_error(struct bh_pool *const pool, const struct bh_error *const error)
{
    if (error)
        pool->shared.last_error = *error;
}

static void set_down(struct bh_pool *const pool)
{
    const struct bh_pool_breaker *const breaker = &pool->shared.breaker;
    atomic_store_explicit(&pool->down_since_us, breaker->down_since_us, memory_order_relaxed);
    const bool was_down = atomic_exchange(&pool->is_down, breaker->is_down);
    if (was_down == breaker->is_down)
        return;
    bh_metrics_add(pool->metrics.down, was_down ? -1 : 1);
    if (pool->options.on_host)
        pool->options.on_host(pool->options.on_host_argument, breaker->is_down);
}

void bh_pool_budget_connected(struct bh_pool_shard *const shard)
{
    struct bh_pool *const pool = shard->pool;
    const uint64_t now_us = enter(shard);
    const uint64_t since_us = pool->shared.breaker.down_since_us;
    const bool was_down = bh_pool_breaker_succeeded(&pool->shared.breaker);
    set_down(pool);
    if (was_down)
        bh_pool_budget_wake_all(pool);
    look_after_line(pool, NULL, now_us);
    pthread_mutex_unlock(&pool->shared.mutex);
    if (was_down)
        bh_log_info("db", "pool \"%s\": the database takes connections again, after %.1f s",
                    pool->options.name, (double)(now_us - since_us) / 1e6);
}

void bh_pool_budget_failed(struct bh_pool_shard *const shard, const enum bh_pool_failure failure,
                           const struct bh_error *const error)
{
    struct bh_pool *const pool = shard->pool;
    struct bh_pool_breaker *const breaker = &pool->shared.breaker;
    const uint64_t now_us = enter(shard);
    keep_error(pool, error);
    /* What is open: neither on its way nor this one, whose token is still counted. */
    const unsigned open = bh_pool_load(&pool->used) - breaker->connecting;
    const bool is_full = failure == BH_POOL_TOO_MANY &&
                         bh_pool_breaker_has_no_room(breaker, open, now_us);
    const bool is_news = !is_full && bh_pool_breaker_failed(breaker, now_us);
    pool->shared.outages += is_news;
    set_down(pool);
    if (!is_full) {
        atomic_store_explicit(&pool->failed_us, now_us, memory_order_relaxed);
        bh_pool_budget_wake_all(pool); /* for some, waiting may be hopeless now */
    }
    look_after_line(pool, NULL, now_us);
    pthread_mutex_unlock(&pool->shared.mutex);
    const char *const message = error ? error->message : "out of memory";
    if (is_full)
        bh_log_warning("db", "pool \"%s\": the server has no room, keeping to %u connections: %s",
                       pool->options.name, open, message);
    else if (is_news)
        bh_log_warning("db", "pool \"%s\": no connection can be made, trying on: %s",
                       pool->options.name, message);
}

void bh_pool_budget_abandoned(struct bh_pool_shard *const shard)
{
    struct bh_pool *const pool = shard->pool;
    const uint64_t now_us = enter(shard);
    bh_pool_breaker_abandon(&pool->shared.breaker);
    look_after_line(pool, NULL, now_us);
    pthread_mutex_unlock(&pool->shared.mutex);
}

void bh_pool_budget_bump(struct bh_pool *const pool, const unsigned generation,
                         const bool is_suspect, const struct bh_error *const error)
{
    pthread_mutex_lock(&pool->shared.mutex);
    const bool is_news = generation == bh_pool_load(&pool->generation);
    if (is_news) {
        bh_pool_change(&pool->generation, 1);
        if (is_suspect) {
            keep_error(pool, error);
            atomic_store_explicit(&pool->suspect_generation, generation + 1, memory_order_relaxed);
            bh_pool_breaker_suspect(&pool->shared.breaker);
        }
        bh_pool_budget_wake_all(pool);
    }
    pthread_mutex_unlock(&pool->shared.mutex);
    if (is_news && is_suspect)
        bh_log_warning("db", "pool \"%s\": a connection in use was lost, replacing all: %s",
                       pool->options.name, error ? error->message : "no answer to a ping");
}
