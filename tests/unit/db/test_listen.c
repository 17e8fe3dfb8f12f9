/* Messages among those who share a database, on each of them; and between processes on PostgreSQL,
 * where a second opened database stands for another process. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "bulkhead/db/listen.h"

enum { HEARD_MAX = 64, SECONDS = 30 };

/* What one listener has heard. */
struct ear {
    struct bh_db_listener *listener;
    sem_t heard;
    pthread_mutex_t mutex;
    size_t count, read;
    char messages[HEARD_MAX][32]; /* "-": none */
};

static void on_heard(void *const argument, const struct bh_str message)
{
    struct ear *const ear = argument;
    pthread_mutex_lock(&ear->mutex);
    assert_true(ear->count < HEARD_MAX && message.size < sizeof(ear->messages[0]));
    snprintf(ear->messages[ear->count++], sizeof(ear->messages[0]), "%.*s",
             message.data ? (int)message.size : 1, message.data ? message.data : "-");
    pthread_mutex_unlock(&ear->mutex);
    sem_post(&ear->heard);
}

static void hears(struct ear *const ear, const char *const message)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SECONDS;
    while (sem_timedwait(&ear->heard, &until) != 0) {
        if (errno != EINTR)
            fail_msg("\"%s\" was not heard", message);
    }
    pthread_mutex_lock(&ear->mutex);
    assert_string_equal(ear->messages[ear->read++], message);
    pthread_mutex_unlock(&ear->mutex);
}

static void ear_open(struct ear *const ear, struct bh_db *const db, const char *const channel)
{
    *ear = (struct ear){ .count = 0 };
    sem_init(&ear->heard, 0, 0);
    pthread_mutex_init(&ear->mutex, NULL);
    struct bh_error error;
    assert_int_equal(bh_db_listen(db, channel, on_heard, ear, &ear->listener, &error), 0);
    hears(ear, "-");
}

/* Nothing more has been heard. */
static void ear_close(struct ear *const ear)
{
    bh_db_unlisten(ear->listener);
    assert_int_equal(ear->read, ear->count);
    sem_destroy(&ear->heard);
    pthread_mutex_destroy(&ear->mutex);
}

static void tell(struct bh_db *const db, const char *const channel, const char *const message)
{
    struct bh_error error;
    if (bh_db_notify(db, channel, bh_str_from(message), &error) != 0)
        fail_msg("%s", error.message);
}

static int setup(void **const state)
{
    if (test_database_setup(state) != 0)
        return -1;
    struct test_database *const test = *state;
    const struct bh_db_options options = test_database_options(test);
    test_database_reopen(test, &options);
    return 0;
}

static void test_own_messages(void **const state)
{
    const struct test_database *const test = *state;
    struct ear one, two, other;
    ear_open(&one, test->db, "jobs");
    ear_open(&other, test->db, "order"); /* a word of SQL's own */
    ear_open(&two, test->db, "jobs");
    tell(test->db, "nobody", "x");
    tell(test->db, "jobs", "first");
    tell(test->db, "jobs", "");
    tell(test->db, "order", "wäldchen");
    hears(&one, "first");
    hears(&one, "");
    hears(&two, "first");
    hears(&two, "");
    hears(&other, "wäldchen");
    ear_close(&two);
    tell(test->db, "jobs", "last");
    hears(&one, "last");
    ear_close(&one);
    ear_close(&other);
    bh_db_unlisten(NULL);
}

static void tell_in_fiber(void *const argument)
{
    const struct test_database *const test = argument;
    tell(test->db, "jobs", "from a fiber");
}

static void test_from_a_fiber(void **const state)
{
    struct test_database *const test = *state;
    struct ear ear;
    ear_open(&ear, test->db, "jobs");
    in_fiber_run(tell_in_fiber, test);
    hears(&ear, "from a fiber");
    ear_close(&ear);
}

static void test_refused(void **const state)
{
    const struct test_database *const test = *state;
    static const char *const channels[] = { "", "Jobs", "1a", "_a", "a-b", "a\"; DROP TABLE t" };
    struct bh_db_listener *listener;
    struct bh_error error;
    for (size_t i = 0; i < BH_COUNT_OF(channels); i++) {
        assert_int_equal(bh_db_listen(test->db, channels[i], on_heard, NULL, &listener, &error),
                         BH_EINVAL);
        assert_int_equal(bh_db_notify(test->db, channels[i], BH_STR("x"), &error), BH_EINVAL);
    }
    char text[BH_DB_MESSAGE_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    const struct bh_str messages[] = { { text, sizeof(text) }, BH_STR("a\0b"), BH_STR("\xff") };
    for (size_t i = 0; i < BH_COUNT_OF(messages); i++)
        assert_int_equal(bh_db_notify(test->db, "jobs", messages[i], &error), BH_EINVAL);
    assert_int_equal(
        bh_db_notify(test->db, "jobs", (struct bh_str){ text, sizeof(text) - 1 }, &error), 0);
}

/* ---- Processes ---- */

static void test_another_process(void **const state)
{
    const struct test_database *const test = *state;
    if (!test->server)
        skip();
    const struct bh_db_options options = test_database_options(test);
    struct bh_error error;
    struct bh_db *other;
    struct ear ear;
    assert_int_equal(bh_db_open(&options, &other, &error), 0);
    ear_open(&ear, test->db, "jobs");
    tell(other, "jobs", "hello");
    hears(&ear, "hello");
    /* It breaks, and is told that it did. */
    test_database_server(test->url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                    " WHERE query LIKE 'LISTEN%' AND datname = current_database()");
    hears(&ear, "-");
    tell(other, "jobs", "again");
    hears(&ear, "again");
    ear_close(&ear);
    bh_db_close(other);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_own_messages),
        TEST(test_from_a_fiber),
        TEST(test_refused),
        TEST(test_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
