/*
 * Load on a PostgreSQL database for tests/fault/test_postgres.py, which breaks that meanwhile:
 *
 *     db_load URL LOOPS CLIENTS CANCEL_PERCENT READ_MAX WRITE_MAX DEADLINE_S [READ_URL]
 *
 * Each client asks one thing after the other, each within its deadline, and checks that the
 * answer is its own, and that it reads what it wrote; some leave before the answer comes. Every
 * 20 ms a line of `key=value` words tells what has come of all so far: `ok`, `wrong` (must stay 0),
 * `canceled`, `written` (rows the database has acknowledged), `clock_s` (the time of day as it
 * sees it), and a count for each error. A line on standard input ends it. The first line of the
 * file that PASSWORD_FILE names, if set, is the password of each connection; STATEMENT_TIMEOUT_S,
 * if set, the longest that a statement may run.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/thread.h"
#include "bulkhead/base/time.h"
#include "bulkhead/db/postgres.h"
#include "bulkhead/db/statistics.h"
#include "bulkhead/loop/fiber.h"

#define LOOPS_MAX 8
#define REPORT_US (20 * BH_MS_US)
#define CODES 32

enum { SQL_ECHO, SQL_STAR, SQL_INSERT, SQL_READ_BACK, SQL_SLOW, SQL_STATEMENTS };

static const struct bh_statement sql[SQL_STATEMENTS] = {
    { .name = "echo", .postgres = "SELECT $1::bigint, repeat('x', 500)", .index = SQL_ECHO },
    { .name = "star", .postgres = "SELECT * FROM star WHERE id = $1", .index = SQL_STAR },
    { .name = "insert", .postgres = "INSERT INTO written VALUES ($1)", .index = SQL_INSERT },
    { .name = "read_back",
      .postgres = "SELECT number FROM written WHERE number = $1",
      .index = SQL_READ_BACK },
    { .name = "slow",
      .postgres = "SELECT $1::bigint FROM pg_sleep(0.02)",
      .index = SQL_SLOW,
      .is_slow = true },
};

static struct {
    struct bh_db *db;
    unsigned clients, cancel_percent;
    uint64_t deadline_us;
    bool has_replica;
    atomic_bool ending;
    atomic_llong next, ok, wrong, canceled, written, longest_us;
    atomic_llong failed[CODES]; /* by -code */
} load;

struct client {
    struct bh_fiber *fiber, *request;
    struct bh_arena *arena;
    uint64_t seed;
    bool has_ended;
};

static uint64_t draw(uint64_t *const seed)
{
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int ask(struct client *const client, const int index, const int64_t number,
               struct bh_error *const reterr)
{
    const struct bh_db_value value = bh_db_int(index == SQL_STAR ? number % 100 : number);
    struct bh_db_rows rows;
    const enum bh_db_lane lane = index == SQL_INSERT ? BH_DB_WRITE : BH_DB_READ;
    const int result = bh_db_query(load.db, lane, &sql[index], &value, 1, client->arena, &rows,
                                   reterr);
    if (result)
        return result;
    if (index == SQL_INSERT)
        atomic_fetch_add(&load.written, rows.changes);
    else if (rows.row_count != 1 || bh_db_int_at(&rows, 0, 0) != value.integer)
        atomic_fetch_add(&load.wrong, 1);
    return 0;
}

static int write_and_read(struct client *const client, const int64_t number,
                          struct bh_error *const reterr)
{
    const int result = ask(client, SQL_INSERT, number, reterr);
    return result ? result : ask(client, SQL_READ_BACK, number, reterr);
}

/* Two looks at one snapshot. */
static int transact(struct client *const client, const int64_t number,
                    struct bh_error *const reterr)
{
    struct bh_db_transaction *transaction;
    int result = bh_db_begin(load.db, BH_DB_READ, &transaction, reterr);
    if (result)
        return result;
    for (int64_t i = number; !result && i < number + 2; i++) {
        const struct bh_db_value value = bh_db_int(i);
        struct bh_db_rows rows;
        result = bh_db_transaction_query(transaction, &sql[SQL_ECHO], &value, 1, client->arena,
                                         &rows, reterr);
        if (!result && bh_db_int_at(&rows, 0, 0) != i)
            atomic_fetch_add(&load.wrong, 1);
    }
    if (!result)
        return bh_db_commit(transaction, reterr);
    bh_db_rollback(transaction);
    return result;
}

static void count(const int result, const struct bh_error *const error, const uint64_t since_us)
{
    const long long took_us = (long long)(bh_time_now_us() - since_us);
    long long longest_us = atomic_load(&load.longest_us);
    while (took_us > longest_us &&
           !atomic_compare_exchange_weak(&load.longest_us, &longest_us, took_us)) {
    }
    if (!result)
        atomic_fetch_add(&load.ok, 1);
    else if (result == BH_ECANCELED)
        atomic_fetch_add(&load.canceled, 1);
    else if (atomic_fetch_add(&load.failed[-result % CODES], 1) == 0)
        fprintf(stderr, "%s %s: %s\n", bh_error_name(result), error->sqlstate, error->message);
}

/* With a replica, every other two seconds: it is asked only while nothing is newer. */
static bool writers_rest(const uint64_t now_us)
{
    return load.has_replica && now_us / (2 * BH_SECOND_US) % 2;
}

static void request_in_fiber(void *const argument)
{
    struct client *const client = argument;
    struct bh_error error = { 0 };
    const uint64_t since_us = bh_time_now_us();
    const unsigned kind = (unsigned)(draw(&client->seed) % 100);
    const int64_t number = atomic_fetch_add(&load.next, 2);
    client->request = bh_fiber_current();
    bh_fiber_set_deadline(since_us + load.deadline_us);
    bh_arena_reset(client->arena);
    int result;
    if (kind < 60)
        result = ask(client, SQL_ECHO, number, &error);
    else if (kind < 75)
        result = ask(client, SQL_STAR, number, &error);
    else if (kind < 85 && !writers_rest(since_us))
        result = write_and_read(client, number, &error);
    else if (kind < 95)
        result = transact(client, number, &error);
    else
        result = ask(client, SQL_SLOW, number, &error);
    count(result, &error, since_us);
    client->request = NULL;
    client->has_ended = true;
    bh_fiber_wake(client->fiber);
}

static void client_in_fiber(void *const argument)
{
    struct client client = { .fiber = bh_fiber_current(), .seed = (uint64_t)(uintptr_t)argument };
    if (bh_arena_create(64 * 1024, &client.arena) != 0)
        abort();
    while (!atomic_load(&load.ending)) {
        client.has_ended = false;
        if (bh_fiber_spawn(bh_loop_current(), request_in_fiber, &client) != 0)
            abort();
        const bool leaves = draw(&client.seed) % 100 < load.cancel_percent;
        const uint64_t until_us = bh_time_now_us() + draw(&client.seed) % (10 * BH_MS_US);
        while (!client.has_ended) {
            const int result = leaves ? bh_fiber_park_until(until_us) : bh_fiber_park();
            if (result == BH_ETIMEDOUT && client.request) {
                bh_fiber_cancel(client.request);
                while (!client.has_ended)
                    bh_fiber_park_uncancelable();
            }
        }
        /* Somebody who was refused comes again, but not at once. */
        if (bh_fiber_sleep(BH_MS_US) != 0)
            abort();
    }
    bh_arena_destroy(client.arena);
}

static void loop_begins(void *const argument)
{
    (void)argument;
    for (unsigned i = 0; i < load.clients; i++) {
        const uintptr_t seed = ((uintptr_t)getpid() << 20) + (uintptr_t)bh_loop_current() + i;
        if (bh_fiber_spawn(bh_loop_current(), client_in_fiber, (void *)seed) != 0)
            abort();
    }
    bh_loop_stop(bh_loop_current());
}

static void begin(uv_timer_t *const timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    if (bh_fiber_spawn(bh_loop_current(), loop_begins, NULL) != 0)
        abort();
}

static void *loop_main(void *const argument)
{
    (void)argument;
    struct bh_loop *loop;
    uv_timer_t timer;
    if (bh_loop_create(NULL, &loop) != 0)
        abort();
    uv_timer_init(bh_loop_uv(loop), &timer);
    uv_timer_start(&timer, begin, 0, 0);
    bh_loop_run(loop);
    bh_loop_destroy(loop);
    return NULL;
}

static void report(void)
{
    struct bh_db_statistics read, write;
    bh_db_statistics(load.db, BH_DB_READ, &read);
    bh_db_statistics(load.db, BH_DB_WRITE, &write);
    const unsigned long long connected = read.connected + write.connected;
    const unsigned long long granted = read.granted + write.granted;
    printf("ok=%lld wrong=%lld canceled=%lld written=%lld longest_us=%lld connections=%u "
           "connected=%llu granted=%llu waiting=%u clock_s=%lld",
           atomic_load(&load.ok), atomic_load(&load.wrong), atomic_load(&load.canceled),
           atomic_load(&load.written), atomic_exchange(&load.longest_us, 0),
           read.total + write.total, connected, granted, read.waiting + write.waiting,
           (long long)time(NULL));
    for (int code = 1; code < CODES; code++) {
        const long long times = atomic_load(&load.failed[code]);
        if (times)
            printf(" %s=%lld", bh_error_name(-code), times);
    }
    putchar('\n');
    fflush(stdout);
}

static void *wait_for_the_end(void *const argument)
{
    (void)argument;
    getchar();
    atomic_store(&load.ending, true);
    return NULL;
}

static unsigned number_of(const char *const text)
{
    int64_t number = 0;
    if (bh_str_to_int64(bh_str_from(text), 0, 10000, &number) != 0)
        abort();
    return (unsigned)number;
}

static int password_of_file(void *const argument, char *const buffer, const size_t size,
                            struct bh_error *const reterr)
{
    FILE *const file = fopen(argument, "r");
    if (!file)
        return bh_error_errno(reterr, errno, "the password file cannot be read");
    const bool has_line = fgets(buffer, (int)size, file) != NULL;
    fclose(file);
    if (!has_line)
        return bh_error_set(reterr, BH_EACCESS, "the password file is empty");
    buffer[strcspn(buffer, "\n")] = '\0';
    return 0;
}

int main(const int argument_count, char **const arguments)
{
    if (argument_count != 8 && argument_count != 9)
        return 2;
    const unsigned loops = number_of(arguments[2]);
    load.clients = number_of(arguments[3]);
    load.cancel_percent = number_of(arguments[4]);
    load.deadline_us = number_of(arguments[7]) * BH_SECOND_US;
    load.has_replica = argument_count == 9;
    char *const password_file = getenv("PASSWORD_FILE");
    const char *const timeout_s = getenv("STATEMENT_TIMEOUT_S");
    const struct bh_postgres_options postgres = {
        .read_url = arguments[8], /* NULL behind the last */
        .loops = loops,
        .read_maximum = number_of(arguments[5]),
        .write_maximum = number_of(arguments[6]),
        .connect_timeout_us = 2 * BH_SECOND_US,
        .statement_timeout_us = timeout_s ? number_of(timeout_s) * BH_SECOND_US : 0,
        .password = password_file ? password_of_file : NULL,
        .password_argument = password_file,
    };
    const struct bh_db_options options = {
        .url = arguments[1],
        .waiters_maximum = 10000,
        .acquire_timeout_us = 10 * BH_SECOND_US,
        .statements = sql,
        .statement_count = SQL_STATEMENTS,
        .postgres = &postgres,
    };
    struct bh_error error;
    if (loops > LOOPS_MAX || bh_db_open(&options, &load.db, &error) != 0) {
        printf("error=%s\n", error.message);
        return 1;
    }
    pthread_t threads[LOOPS_MAX], ender;
    if (bh_thread_start(wait_for_the_end, NULL, &ender) != 0)
        abort();
    for (unsigned i = 0; i < loops; i++) {
        if (bh_thread_start(loop_main, NULL, &threads[i]) != 0)
            abort();
    }
    while (!atomic_load(&load.ending)) {
        report();
        usleep(REPORT_US);
    }
    for (unsigned i = 0; i < loops; i++)
        pthread_join(threads[i], NULL);
    pthread_join(ender, NULL);
    report();
    bh_db_close(load.db);
    return 0;
}
