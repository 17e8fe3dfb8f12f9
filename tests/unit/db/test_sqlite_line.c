/* Who gets a lane's next thread, who is refused for others, and who has one for too long. */
#include "cmocka_setup.h"
#include "in_fiber.h"

#include "db/database.h"

#include <pthread.h>
#include <sched.h>

#include "db/db_metrics.h"
#include "db/line.h"
#include "db/sqlite/sqlite_lane.h"

static struct bh_sqlite_lane *lane;
static struct bh_db_lane_metrics metrics;

static struct bh_sqlite_lane_options usual(void)
{
    return (struct bh_sqlite_lane_options){
        .name = "test",
        .threads = 1,
        .waiters_maximum = 100,
        .acquire_timeout_us = 60 * BH_SECOND_US,
        .hold_idle_timeout_us = 60 * BH_SECOND_US,
        .leak_us = BH_NEVER_US,
    };
}

/* Runs `body` in a fiber with a lane, which must be at rest after it. */
static void with_lane(void **const state, struct bh_sqlite_lane_options options,
                      bh_fiber_function *const body, void *const argument)
{
    struct test_database *const test = *state;
    const struct bh_sqlite_config config = { .path = test->path, .lock_timeout_us = BH_SECOND_US };
    options.config = &config;
    metrics = bh_db_metrics_lane(BH_DB_READ);
    if (bh_sqlite_lane_create(&options, &lane, &test->error) != 0)
        fail_msg("%s", test->error.message);
    in_fiber_run(body, argument);
    bh_sqlite_lane_check(lane);
    struct bh_db_statistics now;
    bh_sqlite_lane_statistics(lane, &now);
    assert_int_equal(now.in_use, 0);
    assert_int_equal(now.waiting, 0);
    bh_sqlite_lane_destroy(lane);
}

/* ---- Who calls ---- */

static atomic_uint turns;

struct caller {
    enum bh_fiber_priority priority;
    uint32_t tenant;
    uint64_t takes_us;
    struct bh_fiber *fiber;
    struct bh_error error;
    unsigned turn; /* of those that had one */
    int result;
    bool ended;
};

static int take_turn(struct bh_sqlite_session *const session, void *const argument,
                     struct bh_error *const reterr)
{
    (void)session;
    (void)reterr;
    struct caller *const caller = argument;
    caller->turn = atomic_fetch_add(&turns, 1);
    const uint64_t until_us = bh_time_now_us() + caller->takes_us;
    while (caller->takes_us && bh_time_now_us() < until_us)
        sched_yield();
    return 0;
}

static void call_once(void *const argument)
{
    struct caller *const caller = argument;
    struct bh_trace_span span;
    caller->fiber = bh_fiber_current();
    bh_fiber_set_standing(
        (struct bh_fiber_standing){ .priority = caller->priority, .tenant = caller->tenant });
    caller->result = bh_sqlite_lane_call(lane, "turn", take_turn, caller, NULL, &span,
                                         &caller->error);
    caller->ended = true;
}

static void start(struct caller *const caller, const enum bh_fiber_priority priority,
                  const uint32_t tenant)
{
    *caller =
        (struct caller){ .priority = priority, .tenant = tenant, .takes_us = caller->takes_us };
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), call_once, caller), 0);
}

static void wait_for(const struct caller *const callers, const size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while (!callers[i].ended)
            assert_int_equal(bh_fiber_sleep(200), 0);
    }
}

static int nothing(struct bh_sqlite_session *const session, void *const argument,
                   struct bh_error *const reterr)
{
    (void)session;
    (void)argument;
    (void)reterr;
    return 0;
}

static void hold_thread(struct bh_sqlite_hold *const hold)
{
    struct bh_trace_span span;
    *hold = (struct bh_sqlite_hold){ 0 };
    assert_int_equal(bh_sqlite_lane_call(lane, "hold", nothing, NULL, hold, &span, NULL), 0);
}

static void release(struct bh_sqlite_hold *const hold)
{
    struct bh_trace_span span;
    assert_int_equal(bh_sqlite_lane_call_held(hold, "release", nothing, NULL, true, &span, NULL),
                     0);
}

/* ---- Order ---- */

static void priorities_go_first(void *const argument)
{
    (void)argument;
    static const enum bh_fiber_priority priorities[] = { BH_FIBER_LOW,    BH_FIBER_NORMAL,
                                                         BH_FIBER_HIGH,   BH_FIBER_LOW,
                                                         BH_FIBER_NORMAL, BH_FIBER_HIGH };
    static const unsigned expected[] = { 4, 2, 0, 5, 3, 1 };
    struct caller callers[6] = { 0 };
    struct bh_sqlite_hold hold;
    hold_thread(&hold);
    atomic_store(&turns, 0);
    for (size_t i = 0; i < 6; i++)
        start(&callers[i], priorities[i], 0);
    release(&hold);
    wait_for(callers, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(callers[i].result, 0);
        assert_int_equal(callers[i].turn, expected[i]);
    }
}

static void test_priorities(void **const state)
{
    with_lane(state, usual(), priorities_go_first, NULL);
}

static void a_tenant_is_capped(void *const argument)
{
    (void)argument;
    struct caller callers[4] = { 0 };
    struct bh_sqlite_hold holds[4];
    bh_fiber_set_standing((struct bh_fiber_standing){ .tenant = 1 });
    for (size_t i = 0; i < 4; i++)
        hold_thread(&holds[i]); /* all of them: nobody else wants any */
    atomic_store(&turns, 0);
    for (size_t i = 0; i < 4; i++)
        start(&callers[i], BH_FIBER_NORMAL, i < 3 ? 1 : 2);
    release(&holds[0]); /* three are left to it, which is more than half */
    wait_for(callers, 4);
    assert_int_equal(callers[3].turn, 0); /* before those who came first */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(callers[i].turn, i + 1); /* among themselves in order */
    for (size_t i = 1; i < 4; i++)
        release(&holds[i]);
}

static void test_tenants(void **const state)
{
    struct bh_sqlite_lane_options options = usual();
    options.threads = 4;
    with_lane(state, options, a_tenant_is_capped, NULL);
}

/* ---- Refusal ---- */

static void assert_refused(const struct caller *const caller, const char *const why)
{
    wait_for(caller, 1);
    assert_int_equal(caller->result, BH_EBUSY);
    assert_non_null(strstr(caller->error.message, why));
    assert_non_null(strstr(caller->error.message, "1 of 1 are busy"));
}

static void a_full_line_sheds_the_newest_of_the_lowest(void *const argument)
{
    (void)argument;
    const int64_t shed = bh_metrics_value(metrics.refused[BH_DB_REFUSED_SHED]);
    struct caller low[3] = { 0 }, normal = { 0 }, high[3] = { 0 };
    struct bh_sqlite_hold hold;
    hold_thread(&hold);
    start(&low[0], BH_FIBER_LOW, 0);
    start(&low[1], BH_FIBER_LOW, 0);
    start(&normal, BH_FIBER_NORMAL, 0);
    assert_refused(&low[1], "the line is full, and others come first");
    assert_false(low[0].ended);
    start(&low[2], BH_FIBER_LOW, 0);
    assert_true(low[2].ended);
    assert_refused(&low[2], "too many wait already");
    start(&high[0], BH_FIBER_HIGH, 0);
    assert_refused(&low[0], "the line is full, and others come first");
    start(&high[1], BH_FIBER_HIGH, 0);
    assert_refused(&normal, "the line is full, and others come first");
    start(&high[2], BH_FIBER_HIGH, 0);
    assert_refused(&high[2], "too many wait already");
    struct bh_db_statistics now;
    bh_sqlite_lane_statistics(lane, &now);
    assert_int_equal(now.waiting, 2);
    assert_int_equal(now.refused, 5);
    assert_int_equal(bh_metrics_value(metrics.refused[BH_DB_REFUSED_SHED]) - shed, 5);
    release(&hold);
    wait_for(high, 2);
    assert_int_equal(high[0].result, 0);
    assert_int_equal(high[1].result, 0);
}

static void test_full_line(void **const state)
{
    struct bh_sqlite_lane_options options = usual();
    options.waiters_maximum = 2;
    with_lane(state, options, a_full_line_sheds_the_newest_of_the_lowest, NULL);
}

/* Nothing but a longer wait can come of a busy machine, and that sheds more of the same. */
static void a_standing_line_sheds_what_can_wait(void *const argument)
{
    (void)argument;
    static struct caller callers[32];
    struct bh_sqlite_hold hold;
    unsigned shed = 0;
    hold_thread(&hold);
    for (size_t i = 0; i < 32; i++) {
        callers[i].takes_us = 2 * BH_MS_US;
        start(&callers[i], i % 2 ? BH_FIBER_LOW : BH_FIBER_NORMAL, 0);
    }
    release(&hold);
    wait_for(callers, 32);
    for (size_t i = 0; i < 32; i++) {
        const struct caller *const caller = &callers[i];
        if (caller->result == 0)
            continue;
        shed++;
        assert_int_equal(caller->priority, BH_FIBER_LOW);
        assert_refused(caller, "the line has been too long for a while");
    }
    assert_int_equal(shed > 0, argument != NULL);
}

static void test_standing_line(void **const state)
{
    struct bh_sqlite_lane_options options = usual();
    with_lane(state, options, a_standing_line_sheds_what_can_wait, NULL);
    options.delay_target_us = BH_MS_US;
    options.delay_interval_us = 5 * BH_MS_US;
    with_lane(state, options, a_standing_line_sheds_what_can_wait, &options);
}

/* ---- Who holds a thread for too long ---- */

static const struct bh_log_context leaking = { .route = BH_STR("GET /leak") };
static int log_ends[2];
static int64_t leaks_before;

static void begin_log(void)
{
    assert_int_equal(pipe(log_ends), 0);
    bh_log_setup(BH_LOG_WARNING, BH_LOG_TEXT, log_ends[1]);
    leaks_before = bh_metrics_value(metrics.leaks);
}

static int64_t leaks(void)
{
    return bh_metrics_value(metrics.leaks) - leaks_before;
}

/* One leak was told since begin_log, in these words, and nothing else. */
static void end_log(const char *const words)
{
    char text[4096];
    size_t length = 0;
    bh_log_flush();
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    close(log_ends[1]);
    for (ssize_t got; (got = read(log_ends[0], text + length, sizeof(text) - 1 - length)) > 0;)
        length += (size_t)got;
    close(log_ends[0]);
    text[length] = '\0';
    static const char told[] = "pool \"read\": a connection is held for ";
    const char *const held = strstr(text, told);
    assert_non_null(held);
    assert_null(strstr(held + 1, told));
    assert_non_null(strstr(held, words));
    assert_int_equal(leaks(), 1);
}

static void wait_for_leak(void)
{
    while (leaks() == 0)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
}

static void a_silent_hold_is_told_once(void *const argument)
{
    (void)argument;
    struct bh_sqlite_hold hold;
    struct bh_trace_span span;
    struct caller caller = { .takes_us = 60 * BH_MS_US };
    begin_log();
    bh_fiber_set_log_context(&leaking);
    hold_thread(&hold);
    wait_for_leak();
    assert_int_equal(
        bh_sqlite_lane_call_held(&hold, "turn", take_turn, &caller, false, &span, NULL), 0);
    release(&hold);
    bh_fiber_set_log_context(NULL);
    end_log("already by GET /leak with \"hold\"; is it a leak?");
}

/* Runs until it may end, whatever is asked of it. */
static int dawdle(struct bh_sqlite_session *const session, void *const argument,
                  struct bh_error *const reterr)
{
    (void)session;
    (void)reterr;
    while (!atomic_load((atomic_bool *)argument))
        sched_yield();
    return 0;
}

struct dawdler {
    bh_fiber_function *body;
    struct bh_fiber *fiber;
    struct bh_sqlite_hold hold;
    atomic_bool may_end, has_ended;
};

static void dawdles_in_a_call(void *const argument)
{
    struct dawdler *const dawdler = argument;
    struct bh_trace_span span;
    dawdler->fiber = bh_fiber_current();
    bh_fiber_set_log_context(&leaking);
    (void)!bh_sqlite_lane_call(lane, "dawdle", dawdle, &dawdler->may_end, NULL, &span, NULL);
    bh_fiber_set_log_context(NULL);
    atomic_store(&dawdler->has_ended, true);
}

static void dawdles_at_the_end_of_a_hold(void *const argument)
{
    struct dawdler *const dawdler = argument;
    struct bh_trace_span span;
    dawdler->fiber = bh_fiber_current();
    bh_fiber_set_log_context(&leaking);
    hold_thread(&dawdler->hold);
    (void)!bh_sqlite_lane_call_held(&dawdler->hold, "dawdle", dawdle, &dawdler->may_end, true,
                                    &span, NULL);
    bh_fiber_set_log_context(NULL);
    atomic_store(&dawdler->has_ended, true);
}

static void a_long_call_is_told_once(void *const argument)
{
    static const bool cancels[] = { false, true };
    for (size_t i = 0; i < BH_COUNT_OF(cancels); i++) {
        struct dawdler dawdler = { .body = argument == NULL ? dawdles_in_a_call
                                                            : dawdles_at_the_end_of_a_hold };
        begin_log();
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), dawdler.body, &dawdler), 0);
        if (cancels[i])
            bh_fiber_cancel(dawdler.fiber);
        wait_for_leak();
        assert_int_equal(bh_fiber_sleep(60 * BH_MS_US), 0); /* not again */
        atomic_store(&dawdler.may_end, true);
        while (!atomic_load(&dawdler.has_ended))
            assert_int_equal(bh_fiber_sleep(200), 0);
        end_log("already by GET /leak with \"dawdle\"; is it a leak?");
    }
}

static void *dawdle_without_loop(void *const argument)
{
    struct dawdler *const dawdler = argument;
    struct bh_trace_span span;
    (void)!bh_sqlite_lane_call(lane, "dawdle", dawdle, &dawdler->may_end, NULL, &span, NULL);
    return NULL;
}

static void a_long_call_without_a_loop_is_told_once(void *const argument)
{
    (void)argument;
    struct dawdler dawdler = { 0 };
    pthread_t thread;
    begin_log();
    assert_int_equal(pthread_create(&thread, NULL, dawdle_without_loop, &dawdler), 0);
    wait_for_leak();
    atomic_store(&dawdler.may_end, true);
    pthread_join(thread, NULL);
    end_log("already by no request with \"dawdle\"; is it a leak?");
}

/* It waits for longer, but holds nothing. */
static void waiting_is_no_leak(void *const argument)
{
    (void)argument;
    struct dawdler dawdler = { 0 };
    struct caller waiting = { 0 };
    begin_log();
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), dawdles_in_a_call, &dawdler), 0);
    start(&waiting, BH_FIBER_NORMAL, 0);
    wait_for_leak();
    assert_int_equal(bh_fiber_sleep(60 * BH_MS_US), 0);
    assert_false(waiting.ended);
    end_log("already by GET /leak with \"dawdle\"; is it a leak?");
    atomic_store(&dawdler.may_end, true);
    wait_for(&waiting, 1);
    assert_int_equal(waiting.result, 0);
    while (!atomic_load(&dawdler.has_ended))
        assert_int_equal(bh_fiber_sleep(200), 0);
}

static void test_leaks(void **const state)
{
    struct bh_sqlite_lane_options options = usual();
    options.leak_us = 50 * BH_MS_US;
    with_lane(state, options, a_silent_hold_is_told_once, NULL);
    with_lane(state, options, a_long_call_is_told_once, NULL);
    with_lane(state, options, a_long_call_is_told_once, &options);
    with_lane(state, options, a_long_call_without_a_loop_is_told_once, NULL);
    with_lane(state, options, waiting_is_no_leak, NULL);
}

/* ---- At random: who gives up, is timed out, is shed; the rest in order, each once ---- */

enum { CROWD = 60, PLACES = 40, ROUNDS = 60 };

static struct {
    uint64_t random;
    struct caller callers[CROWD];
    bool is_shed[CROWD]; /* as it must be */
    bool may_give_up[CROWD];
    atomic_bool end;
} crowd;

static unsigned draw(const unsigned below)
{
    crowd.random = crowd.random * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (unsigned)(crowd.random >> 33) % below;
}

static unsigned rank_of(const struct caller *const caller)
{
    return bh_line_priority_of(caller->priority);
}

/* Who goes for `newcomer` when all places are taken: the newest of the lowest below it, else it. */
static size_t victim_of(const size_t newcomer)
{
    size_t victim = newcomer;
    for (size_t i = 0; i < newcomer; i++) {
        if (!crowd.is_shed[i] && rank_of(&crowd.callers[i]) > rank_of(&crowd.callers[newcomer]) &&
            (victim == newcomer || rank_of(&crowd.callers[i]) >= rank_of(&crowd.callers[victim])))
            victim = i;
    }
    return victim;
}

static void fill_line(void)
{
    size_t waiting = 0;
    memset(crowd.callers, 0, sizeof(crowd.callers));
    memset(crowd.is_shed, 0, sizeof(crowd.is_shed));
    memset(crowd.may_give_up, 0, sizeof(crowd.may_give_up));
    for (size_t i = 0; i < CROWD; i++) {
        start(&crowd.callers[i], draw(3), draw(4));
        if (waiting < PLACES)
            waiting++;
        else
            crowd.is_shed[victim_of(i)] = true;
    }
}

static void give_up_at_random(void)
{
    for (unsigned i = 0; i < 16; i++) {
        const size_t victim = draw(CROWD);
        if (!crowd.callers[victim].ended) {
            crowd.may_give_up[victim] = true;
            if (draw(2))
                bh_fiber_cancel(crowd.callers[victim].fiber);
            else
                bh_fiber_expire(crowd.callers[victim].fiber);
        }
        if (draw(3) == 0)
            bh_fiber_yield();
    }
}

static void assert_outcome(void)
{
    for (size_t i = 0; i < CROWD; i++) {
        const struct caller *const caller = &crowd.callers[i];
        if (crowd.is_shed[i])
            assert_int_equal(caller->result, BH_EBUSY);
        else if (!crowd.may_give_up[i])
            assert_int_equal(caller->result, 0);
        else
            assert_true(caller->result == 0 || caller->result == BH_ECANCELED ||
                        caller->result == BH_ETIMEDOUT);
        for (size_t j = 0; j < i && caller->result == 0; j++) { /* j came first */
            if (crowd.callers[j].result == 0)
                assert_true((crowd.callers[j].turn < caller->turn) ==
                            (rank_of(&crowd.callers[j]) <= rank_of(caller)));
        }
    }
}

static void random_crowds(void *const argument)
{
    (void)argument;
    for (crowd.random = 1; crowd.random <= ROUNDS; crowd.random++) {
        const uint64_t seed = crowd.random;
        struct bh_sqlite_hold hold;
        hold_thread(&hold);
        atomic_store(&turns, 0);
        fill_line();
        give_up_at_random();
        release(&hold);
        give_up_at_random(); /* also those who have it already */
        wait_for(crowd.callers, CROWD);
        assert_outcome();
        crowd.random = seed;
    }
}

static void *check_without_pause(void *const argument)
{
    (void)argument;
    while (!atomic_load(&crowd.end)) {
        bh_sqlite_lane_check(lane);
        sched_yield();
    }
    return NULL;
}

static void random_crowds_checked(void *const argument)
{
    pthread_t checker;
    atomic_store(&crowd.end, false);
    assert_int_equal(pthread_create(&checker, NULL, check_without_pause, NULL), 0);
    random_crowds(argument);
    atomic_store(&crowd.end, true);
    pthread_join(checker, NULL);
}

static void test_random_crowds(void **const state)
{
    struct bh_sqlite_lane_options options = usual();
    options.waiters_maximum = PLACES;
    with_lane(state, options, random_crowds_checked, NULL);
}

int main(void)
{
#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, test_database_setup, test_database_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_priorities),    TEST(test_tenants), TEST(test_full_line),
        TEST(test_standing_line), TEST(test_leaks),   TEST(test_random_crowds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
