/*
 * Far more users than connections, for tests/fault/test_postgres_queue.py:
 *
 *     db_queue URL LOOPS USERS CONNECTIONS ROUNDS
 *
 * USERS in all take a transaction ROUNDS times, one after the other without a pause, ask the
 * database for a number of their own and check that they get it. Each draws a ticket of its loop
 * before it asks for the connection: connections must come in the order of tickets. A line of
 * `key=value` words tells the outcome: `failed`, `wrong` and `overtaken` must be 0; `p99_wait_us`
 * is of the wait for a connection, `connections` the most there ever were.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/postgres.h"
#include "bulkhead/db/statistics.h"
#include "bulkhead/loop/fiber.h"

#define LOOPS_MAX 8
#define ACQUIRE_TIMEOUT_US (60 * BH_SECOND_US)

static const struct bh_statement echo = { .name = "echo", .postgres = "SELECT $1::bigint" };

static struct {
    struct bh_db *db;
    unsigned users_of_loop, rounds;
    uint64_t *waits_us;
    atomic_uint wait_count, failed, wrong, overtaken, connections;
} queue;

/* Of one loop; its fibers run on one thread. */
struct counter {
    struct bh_loop *loop;
    uint64_t next_ticket, last_served;
    unsigned users;
};

static void note_connections(void)
{
    struct bh_db_statistics read;
    bh_db_statistics(queue.db, BH_DB_READ, &read);
    unsigned most = atomic_load(&queue.connections);
    while (read.total > most &&
           !atomic_compare_exchange_weak(&queue.connections, &most, read.total)) {
    }
}

static int serve(struct counter *const counter, struct bh_arena *const arena,
                 struct bh_error *const error)
{
    struct bh_db_transaction *transaction;
    const uint64_t since_us = bh_time_now_us(), ticket = ++counter->next_ticket;
    int code = bh_db_begin(queue.db, BH_DB_READ, &transaction, error);
    if (code)
        return code;
    queue.waits_us[atomic_fetch_add(&queue.wait_count, 1)] = bh_time_now_us() - since_us;
    if (ticket <= counter->last_served)
        atomic_fetch_add(&queue.overtaken, 1);
    counter->last_served = ticket;
    note_connections();
    struct bh_db_rows rows;
    const struct bh_db_value value = bh_db_int((int64_t)ticket);
    bh_arena_reset(arena);
    code = bh_db_transaction_query(transaction, &echo, &value, 1, arena, &rows, error);
    if (!code && bh_db_int_at(&rows, 0, 0) != value.integer)
        atomic_fetch_add(&queue.wrong, 1);
    if (!code)
        return bh_db_commit(transaction, error);
    bh_db_rollback(transaction);
    return code;
}

static void user_in_fiber(void *const argument)
{
    struct counter *const counter = argument;
    struct bh_arena *arena;
    if (bh_arena_create(4096, &arena) != 0)
        abort();
    for (unsigned round = 0; round < queue.rounds; round++) {
        struct bh_error error = { 0 };
        const int code = serve(counter, arena, &error);
        if (code && atomic_fetch_add(&queue.failed, 1) == 0)
            fprintf(stderr, "%s: %s\n", bh_error_name(code), error.message);
    }
    bh_arena_destroy(arena);
    if (--counter->users == 0)
        bh_loop_stop(counter->loop);
}

static void begin(uv_timer_t *const timer)
{
    struct counter *const counter = timer->data;
    uv_close((uv_handle_t *)timer, NULL);
    counter->users = queue.users_of_loop;
    for (unsigned i = 0; i < queue.users_of_loop; i++) {
        if (bh_fiber_spawn(counter->loop, user_in_fiber, counter) != 0)
            abort();
    }
}

static void *loop_main(void *const argument)
{
    (void)argument;
    struct counter counter = { .loop = NULL };
    uv_timer_t timer = { .data = &counter };
    if (bh_loop_create(NULL, &counter.loop) != 0)
        abort();
    uv_timer_init(bh_loop_uv(counter.loop), &timer);
    uv_timer_start(&timer, begin, 0, 0);
    bh_loop_run(counter.loop);
    bh_loop_destroy(counter.loop);
    return NULL;
}

static int by_size(const void *const left, const void *const right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void report(void)
{
    const size_t count = atomic_load(&queue.wait_count);
    if (count > 0)
        qsort(queue.waits_us, count, sizeof(*queue.waits_us), by_size);
    printf("served=%zu failed=%u wrong=%u overtaken=%u connections=%u p50_wait_us=%llu "
           "p99_wait_us=%llu longest_wait_us=%llu\n",
           count, atomic_load(&queue.failed), atomic_load(&queue.wrong),
           atomic_load(&queue.overtaken), atomic_load(&queue.connections),
           (unsigned long long)(count ? queue.waits_us[count / 2] : 0),
           (unsigned long long)(count ? queue.waits_us[count * 99 / 100] : 0),
           (unsigned long long)(count ? queue.waits_us[count - 1] : 0));
}

static unsigned number_of(const char *const text)
{
    int64_t number = 0;
    if (bh_str_to_int64(bh_str_from(text), 1, 10000, &number) != 0)
        abort();
    return (unsigned)number;
}

int main(const int argument_count, char **const arguments)
{
    if (argument_count != 6)
        return 2;
    const unsigned loops = number_of(arguments[2]);
    const struct bh_postgres_options postgres = { .loops = loops,
                                                  .read_maximum = number_of(arguments[4]) };
    const struct bh_db_options options = {
        .url = arguments[1],
        .waiters_maximum = 10000,
        .acquire_timeout_us = ACQUIRE_TIMEOUT_US,
        .statements = &echo,
        .statement_count = 1,
        .postgres = &postgres,
    };
    struct bh_error error;
    queue.rounds = number_of(arguments[5]);
    queue.users_of_loop = number_of(arguments[3]) / loops;
    queue.waits_us = calloc((size_t)loops * queue.users_of_loop * queue.rounds,
                            sizeof(*queue.waits_us));
    if (loops > LOOPS_MAX || !queue.waits_us)
        abort();
    if (bh_db_open(&options, &queue.db, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    pthread_t threads[LOOPS_MAX];
    for (unsigned i = 0; i < loops; i++) {
        if (bh_thread_start(loop_main, NULL, &threads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < loops; i++)
        pthread_join(threads[i], NULL);
    report();
    bh_db_close(queue.db);
    free(queue.waits_us);
    return 0;
}
