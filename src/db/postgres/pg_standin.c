/*
 * The pool's calls at their simplest, until src/db/pool has them: exclusive leases only, waiters in
 * line, no time limits of its own.
 */
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "db/pool/pool_loop.h"

struct bh_pool {
    struct bh_pool_options options;
};

struct bh_pool_loop {
    struct bh_pool *pool;
    struct bh_loop *loop;
    const struct bh_pool_driver *driver;
    void *context;
    unsigned total;
    struct bh_list idle, waiting; /* connection.node; lease.node */
    bool leaving;
    void (*left)(void *argument);
    void *left_argument;
};

void bh_pool_options_default(struct bh_pool_options *const options)
{
    *options = (struct bh_pool_options){ .minimum = 0, .maximum = 40 };
}

int bh_pool_create(const struct bh_pool_options *const options, struct bh_pool **const ret_pool,
                   struct bh_error *const reterr)
{
    struct bh_pool *const pool = calloc(1, sizeof(*pool));
    if (!pool)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a pool");
    pool->options = *options;
    *ret_pool = pool;
    return 0;
}

void bh_pool_destroy(struct bh_pool *const pool)
{
    free(pool);
}

void bh_pool_stats(struct bh_pool *const pool, struct bh_pool_stats *const ret_stats)
{
    *ret_stats = (struct bh_pool_stats){ .maximum = pool->options.maximum };
}

static struct bh_pool_loop *of(const struct bh_pool_connection *const connection)
{
    return (struct bh_pool_loop *)(void *)connection->shard;
}

static void gone(struct bh_pool_loop *const joined)
{
    joined->total--;
    if (!joined->leaving || joined->total > 0)
        return;
    void (*const left)(void *) = joined->left;
    void *const argument = joined->left_argument;
    free(joined);
    if (left)
        left(argument);
}

static void begin_one(struct bh_pool_loop *const joined)
{
    joined->total++;
    struct bh_pool_connection *const connection = joined->driver->connect(
        (struct bh_pool_shard *)(void *)joined, joined->context);
    bh_assert(connection != NULL);
    bh_list_init(&connection->node);
}

static void refuse(struct bh_pool_lease *const lease, const struct bh_error *const error)
{
    lease->state = BH_POOL_LEASE_NONE;
    lease->result = error->code;
    if (lease->error)
        *lease->error = *error;
    bh_fiber_wake(lease->user);
}

static void hand_out(struct bh_pool_connection *const connection)
{
    struct bh_pool_loop *const joined = of(connection);
    struct bh_list *const node = bh_list_pop(&joined->waiting);
    connection->state = node ? BH_POOL_BUSY : BH_POOL_IDLE;
    if (joined->leaving) {
        connection->state = BH_POOL_CLOSING;
        joined->driver->close(connection);
    } else if (!node) {
        bh_list_prepend(&joined->idle, &connection->node);
    } else {
        struct bh_pool_lease *const lease = BH_LIST_ENTRY(node, struct bh_pool_lease, node);
        lease->state = BH_POOL_LEASE_GRANTED;
        lease->connection = connection;
        bh_fiber_wake(lease->user);
    }
}

void bh_pool_connected(struct bh_pool_connection *const connection, const uint64_t now_us)
{
    (void)now_us;
    hand_out(connection);
}

void bh_pool_ready(struct bh_pool_connection *const connection, const uint64_t now_us)
{
    (void)now_us;
    hand_out(connection);
}

static void drop(struct bh_pool_connection *const connection)
{
    struct bh_pool_loop *const joined = of(connection);
    bh_list_unlink(&connection->node);
    joined->driver->destroy(connection);
    gone(joined);
}

void bh_pool_connect_failed(struct bh_pool_connection *const connection,
                            const enum bh_pool_failure failure, const struct bh_error *const error,
                            const uint64_t now_us)
{
    (void)failure;
    (void)now_us;
    struct bh_pool_loop *const joined = of(connection);
    for (struct bh_list *node; (node = bh_list_pop(&joined->waiting));)
        refuse(BH_LIST_ENTRY(node, struct bh_pool_lease, node), error);
    drop(connection);
}

void bh_pool_closed(struct bh_pool_connection *const connection, const uint64_t now_us)
{
    (void)now_us;
    drop(connection);
}

void bh_pool_lost(struct bh_pool_connection *const connection, const enum bh_pool_failure failure,
                  const struct bh_error *const error, const uint64_t now_us)
{
    (void)failure;
    (void)error;
    (void)now_us;
    if (connection->state != BH_POOL_BUSY)
        drop(connection);
}

int bh_pool_join(struct bh_pool *const pool, struct bh_loop *const loop,
                 const struct bh_pool_driver *const driver, void *const context,
                 struct bh_pool_loop **const ret_joined)
{
    struct bh_pool_loop *const joined = calloc(1, sizeof(*joined));
    if (!joined)
        return BH_ENOMEM;
    joined->pool = pool;
    joined->loop = loop;
    joined->driver = driver;
    joined->context = context;
    bh_list_init(&joined->idle);
    bh_list_init(&joined->waiting);
    *ret_joined = joined;
    return 0;
}

void bh_pool_leave(struct bh_pool_loop *const joined, void (*const left)(void *argument),
                   void *const argument)
{
    joined->leaving = true;
    joined->left = left;
    joined->left_argument = argument;
    joined->total++;
    for (struct bh_list *node; (node = bh_list_pop(&joined->idle));)
        hand_out(BH_LIST_ENTRY(node, struct bh_pool_connection, node));
    gone(joined);
}

int bh_pool_acquire(struct bh_pool_loop *const joined, struct bh_pool_lease *const lease,
                    struct bh_error *const reterr)
{
    const unsigned maximum = joined->pool->options.maximum / joined->pool->options.shard_count + 1;
    lease->lane = BH_POOL_LANE_EXCLUSIVE;
    lease->user = bh_fiber_current();
    lease->error = reterr;
    lease->state = BH_POOL_LEASE_WAITING;
    bh_list_append(&joined->waiting, &lease->node);
    struct bh_list *const node = bh_list_pop(&joined->idle);
    if (node)
        hand_out(BH_LIST_ENTRY(node, struct bh_pool_connection, node));
    else if (joined->total < maximum)
        begin_one(joined);
    const uint64_t until_us = bh_time_now_us() + joined->pool->options.acquire_timeout_us;
    while (lease->state == BH_POOL_LEASE_WAITING) {
        const int stopped = bh_fiber_park_until(until_us);
        if (stopped && lease->state == BH_POOL_LEASE_WAITING) {
            bh_list_unlink(&lease->node);
            lease->state = BH_POOL_LEASE_NONE;
            return bh_error_set(reterr, stopped == BH_ETIMEDOUT ? BH_EBUSY : stopped,
                                "no connection within the time-out");
        }
    }
    return lease->state == BH_POOL_LEASE_GRANTED ? 0 : lease->result;
}

void bh_pool_return(struct bh_pool_lease *const lease, const enum bh_pool_outcome outcome)
{
    struct bh_pool_connection *const connection = lease->connection;
    const struct bh_pool_driver *const driver = of(connection)->driver;
    lease->state = BH_POOL_LEASE_NONE;
    connection->state = BH_POOL_RESETTING;
    if (outcome == BH_POOL_CLEAN)
        hand_out(connection);
    else if (outcome == BH_POOL_DIRTY)
        driver->reset(connection);
    else if (outcome == BH_POOL_RUNNING)
        driver->cancel(connection);
    else
        drop(connection);
}
