#include "cmocka_setup.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/metrics.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/overload/breaker.h"
#include "prng.h"

#define START_US (1000 * BH_SECOND_US)

static struct bh_breaker_options small_options(void)
{
    struct bh_breaker_options options;
    bh_breaker_options_default(&options);
    options.dependency = "test";
    options.operation = "call";
    options.window_calls = 10;
    options.calls_minimum = 4;
    options.slow_us = 100;
    options.probes = 3;
    return options;
}

static struct bh_breaker *create(const struct bh_breaker_options *const options)
{
    struct bh_breaker *breaker;
    struct bh_error error;
    assert_int_equal(bh_breaker_create(options, &breaker, &error), 0);
    return breaker;
}

static struct bh_breaker_status status_of(struct bh_breaker *const breaker, const uint64_t now_us)
{
    struct bh_breaker_status status;
    bh_breaker_status(breaker, now_us, &status);
    return status;
}

static void call(struct bh_breaker *const breaker, const uint64_t now_us,
                 const enum bh_breaker_outcome outcome, const uint64_t duration_us)
{
    struct bh_breaker_permit permit;
    assert_int_equal(bh_breaker_enter(breaker, now_us, &permit, NULL), 0);
    bh_breaker_leave(breaker, permit, outcome, duration_us, now_us);
}

static void trip(struct bh_breaker *const breaker, const uint64_t now_us)
{
    while (status_of(breaker, now_us).state == BH_BREAKER_CLOSED)
        call(breaker, now_us, BH_BREAKER_FAILURE, 0);
}

/* ---- A model, as simple as can be ---- */

#define MODEL_CALLS 100000

struct model {
    struct bh_breaker_options options;
    enum bh_breaker_state state;
    bool is_held;
    uint32_t generation;
    uint64_t open_until_us;
    struct {
        uint64_t at_us;
        bool failed, slow;
    } calls[MODEL_CALLS]; /* of this generation */
    size_t count;
    struct {
        bool is_out, is_done;
        uint64_t begun_us;
    } probes[BH_BREAKER_PROBES_MAXIMUM];
    unsigned done, failed, slow; /* probes */
};

struct model_permit {
    uint32_t generation;
    int probe; /* -1: none */
};

static void model_change(struct model *const model, const enum bh_breaker_state state,
                         const uint64_t now_us)
{
    model->state = state;
    model->generation++;
    model->count = 0;
    memset(model->probes, 0, sizeof(model->probes));
    model->done = model->failed = model->slow = 0;
    if (state == BH_BREAKER_OPEN)
        model->open_until_us = now_us + model->options.open_us;
}

static void model_judge_probes(struct model *const model, const uint64_t now_us)
{
    const unsigned probes = model->options.probes;
    if (model->failed * 100 >= model->options.failure_percent * probes ||
        model->slow * 100 >= model->options.slow_percent * probes)
        model_change(model, BH_BREAKER_OPEN, now_us);
    else if (model->done == probes)
        model_change(model, BH_BREAKER_CLOSED, now_us);
}

static bool model_enter(struct model *const model, const uint64_t now_us,
                        struct model_permit *const ret_permit)
{
    if (model->state == BH_BREAKER_HALF_OPEN) {
        for (unsigned i = 0; i < model->options.probes; i++) {
            if (!model->probes[i].is_out || model->probes[i].is_done ||
                now_us - model->probes[i].begun_us < model->options.probe_timeout_us)
                continue;
            model->probes[i].is_done = true;
            model->done++, model->failed++, model->slow++;
        }
        model_judge_probes(model, now_us);
    } else if (model->state == BH_BREAKER_OPEN && !model->is_held &&
               now_us >= model->open_until_us) {
        model_change(model, BH_BREAKER_HALF_OPEN, now_us);
    }
    *ret_permit = (struct model_permit){ model->generation, -1 };
    if (model->state != BH_BREAKER_HALF_OPEN)
        return model->state == BH_BREAKER_CLOSED || model->is_held;
    for (unsigned i = 0; i < model->options.probes; i++) {
        if (model->probes[i].is_out || model->probes[i].is_done)
            continue;
        model->probes[i].is_out = true;
        model->probes[i].begun_us = now_us;
        ret_permit->probe = (int)i;
        return true;
    }
    return false;
}

static void model_judge_calls(struct model *const model, const uint64_t now_us)
{
    const struct bh_breaker_options *const options = &model->options;
    unsigned calls = 0, failed = 0, slow = 0;
    const size_t window = options->window_calls;
    for (size_t i = model->count < window ? 0 : model->count - window; i < model->count; i++) {
        if (now_us - model->calls[i].at_us >= options->window_us)
            continue;
        calls++;
        failed += model->calls[i].failed;
        slow += model->calls[i].slow;
    }
    if (calls >= options->calls_minimum && (failed * 100 >= options->failure_percent * calls ||
                                            slow * 100 >= options->slow_percent * calls))
        model_change(model, BH_BREAKER_OPEN, now_us);
}

static void model_leave(struct model *const model, const struct model_permit permit,
                        const enum bh_breaker_outcome outcome, const bool slow,
                        const uint64_t now_us)
{
    const bool failed = outcome == BH_BREAKER_FAILURE;
    const bool is_judged = failed || outcome == BH_BREAKER_SUCCESS;
    if (permit.generation != model->generation || model->is_held)
        return;
    if (permit.probe >= 0) {
        if (model->probes[permit.probe].is_done)
            return;
        if (!is_judged) {
            model->probes[permit.probe].is_out = false;
            return;
        }
        model->probes[permit.probe].is_done = true;
        model->done++, model->failed += failed, model->slow += slow;
        model_judge_probes(model, now_us);
    } else if (is_judged && model->state == BH_BREAKER_CLOSED) {
        assert_true(model->count < MODEL_CALLS);
        model->calls[model->count].at_us = now_us;
        model->calls[model->count].failed = failed;
        model->calls[model->count++].slow = slow;
        if (failed || slow)
            model_judge_calls(model, now_us);
    }
}

/* ---- Random walks of both, side by side ---- */

#define OUTSTANDING 16

struct pair {
    struct bh_breaker_permit real;
    struct model_permit model;
};

static void hold_or_free(struct bh_breaker *const breaker, struct model *const model,
                         const uint64_t now_us)
{
    if (model->is_held) {
        bh_breaker_free(breaker, now_us);
        model->is_held = false;
        model_change(model, BH_BREAKER_CLOSED, now_us);
    } else {
        bh_breaker_hold(breaker, now_us);
        model->is_held = true;
        model_change(model, BH_BREAKER_OPEN, now_us);
    }
}

static void walk(const uint64_t seed)
{
    uint64_t random = seed;
    struct bh_breaker_options options = small_options();
    options.window_calls = 1 + (unsigned)prng_below(&random, 100);
    options.calls_minimum = 1 + (unsigned)prng_below(&random, options.window_calls);
    options.failure_percent = 1 + (unsigned)prng_below(&random, 100);
    options.slow_percent = 1 + (unsigned)prng_below(&random, 100);
    options.probes = 1 + (unsigned)prng_below(&random, 20);
    const unsigned failing = (unsigned)prng_below(&random, 100);
    const bool is_held_at_times = prng_below(&random, 4) == 0;
    struct bh_breaker *const breaker = create(&options);
    struct model *const model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->options = options;
    struct pair out[OUTSTANDING];
    unsigned count = 0;
    uint64_t now_us = START_US;
    for (unsigned step = 0; step < 4000; step++) {
        now_us += prng_below(&random, 20) == 0 ? prng_below(&random, 40 * BH_SECOND_US)
                                               : prng_below(&random, BH_SECOND_US);
        if (is_held_at_times && prng_below(&random, 200) == 0)
            hold_or_free(breaker, model, now_us);
        if (count < OUTSTANDING && prng_below(&random, 2) == 0) {
            struct pair pair = { 0 };
            const bool may_pass = model_enter(model, now_us, &pair.model);
            const int result = bh_breaker_enter(breaker, now_us, &pair.real, NULL);
            assert_int_equal(result, may_pass ? 0 : BH_EUNAVAILABLE);
            if (may_pass)
                out[count++] = pair;
        } else if (count > 0) {
            const unsigned at = (unsigned)prng_below(&random, count);
            const bool fails = prng_below(&random, 100) < failing;
            const enum bh_breaker_outcome outcome = prng_below(&random, 20) == 0
                                                        ? BH_BREAKER_IGNORED
                                                    : fails ? BH_BREAKER_FAILURE
                                                            : BH_BREAKER_SUCCESS;
            const bool slow = prng_below(&random, 4) == 0;
            model_leave(model, out[at].model, outcome, slow, now_us);
            bh_breaker_leave(breaker, out[at].real, outcome, slow ? 100 : 99, now_us);
            out[at] = out[--count];
        }
        assert_int_equal(status_of(breaker, now_us).state, model->state);
    }
    free(model);
    bh_breaker_destroy(breaker);
}

static void test_it_does_as_the_model(void **const state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        walk(seed);
}

/* ---- Promises, one by one ---- */

static void test_one_way_around(void **const state)
{
    (void)state;
    const struct bh_breaker_options options = small_options();
    struct bh_breaker *const breaker = create(&options);
    uint64_t now_us = START_US;
    for (unsigned i = 0; i < 3; i++)
        call(breaker, now_us, BH_BREAKER_FAILURE, 0);
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_CLOSED);
    call(breaker, now_us, BH_BREAKER_FAILURE, 0);
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_OPEN);

    struct bh_breaker_permit permits[3], none;
    struct bh_error error;
    now_us += options.open_us - 1;
    assert_int_equal(bh_breaker_enter(breaker, now_us, &none, &error), BH_EUNAVAILABLE);
    assert_int_equal(error.retry_s, 1);
    now_us++;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(bh_breaker_enter(breaker, now_us, &permits[i], &error), 0);
    assert_int_equal(bh_breaker_enter(breaker, now_us, &none, &error), BH_EUNAVAILABLE);
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_HALF_OPEN);
    for (unsigned i = 0; i < 3; i++)
        bh_breaker_leave(breaker, permits[i], BH_BREAKER_SUCCESS, 0, now_us);
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_CLOSED);
    assert_int_equal(status_of(breaker, now_us).calls, 0);
    bh_breaker_destroy(breaker);
}

static void test_slow_calls_open_it_too(void **const state)
{
    (void)state;
    const struct bh_breaker_options options = small_options();
    struct bh_breaker *const breaker = create(&options);
    for (unsigned i = 0; i < 4; i++)
        call(breaker, START_US, BH_BREAKER_SUCCESS, options.slow_us);
    assert_int_equal(status_of(breaker, START_US).state, BH_BREAKER_OPEN);
    bh_breaker_destroy(breaker);
}

static void test_a_lost_probe_counts_as_failed(void **const state)
{
    (void)state;
    struct bh_breaker_options options = small_options();
    options.probes = 1;
    struct bh_breaker *const breaker = create(&options);
    trip(breaker, START_US);
    uint64_t now_us = START_US + options.open_us;
    struct bh_breaker_permit lost, none;
    assert_int_equal(bh_breaker_enter(breaker, now_us, &lost, NULL), 0);
    now_us += options.probe_timeout_us;
    assert_int_equal(bh_breaker_enter(breaker, now_us, &none, NULL), BH_EUNAVAILABLE);
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_OPEN);
    bh_breaker_leave(breaker, lost, BH_BREAKER_SUCCESS, 0, now_us); /* too late to matter */
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_OPEN);
    now_us += options.open_us;
    call(breaker, now_us, BH_BREAKER_SUCCESS, 0);
    assert_int_equal(status_of(breaker, now_us).state, BH_BREAKER_CLOSED);
    bh_breaker_destroy(breaker);
}

static void test_metrics_and_list(void **const state)
{
    (void)state;
    struct bh_breaker_options options = small_options();
    options.dependency = "listed";
    struct bh_breaker *const breaker = create(&options);
    trip(breaker, START_US);
    struct bh_breaker_permit none;
    assert_int_equal(bh_breaker_enter(breaker, START_US, &none, NULL), BH_EUNAVAILABLE);
    struct bh_breaker_status statuses[BH_BREAKERS_MAXIMUM];
    assert_int_equal(bh_breaker_list(statuses, BH_BREAKERS_MAXIMUM, START_US), 1);
    assert_string_equal(statuses[0].dependency, "listed");
    assert_int_equal(statuses[0].opened, 1);
    assert_int_equal(statuses[0].rejected, 1);
    assert_int_equal(statuses[0].retry_us, options.open_us);
    struct bh_buf text;
    bh_buf_init(&text, 1 << 20);
    bh_metrics_expose(&text, false);
    bh_buf_append_byte(&text, '\0');
    const char *const exposed = bh_buf_peek(&text).data;
    assert_non_null(strstr(exposed, "breaker_state{dependency=\"listed\",class=\"call\"} 2\n"));
    assert_non_null(strstr(
        exposed, "breaker_transitions_total{dependency=\"listed\",class=\"call\",to=\"open\"} 1"));
    assert_non_null(
        strstr(exposed, "breaker_rejected_total{dependency=\"listed\",class=\"call\"} 1"));
    bh_buf_fini(&text);
    bh_breaker_destroy(breaker);
    assert_int_equal(bh_breaker_list(statuses, BH_BREAKERS_MAXIMUM, START_US), 0);
}

static void test_options_are_checked(void **const state)
{
    (void)state;
    struct bh_breaker *breaker;
    struct bh_error error;
    struct bh_breaker_options options = small_options();
    options.probes = 65;
    assert_int_equal(bh_breaker_create(&options, &breaker, &error), BH_EINVAL);
    options = small_options();
    options.calls_minimum = 11;
    assert_int_equal(bh_breaker_create(&options, &breaker, &error), BH_EINVAL);
    options = small_options();
    options.slow_percent = 0;
    assert_int_equal(bh_breaker_create(&options, &breaker, &error), BH_EINVAL);
    options = small_options();
    options.window_calls = 1001;
    assert_int_equal(bh_breaker_create(&options, &breaker, &error), BH_EINVAL);
}

/* ---- Threads ---- */

#define THREADS 4

static struct bh_breaker *contended;
static _Atomic uint64_t clock_us;
static atomic_uint passed;

static void *call_at_random(void *const argument)
{
    uint64_t random = (uintptr_t)argument;
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t now_us = atomic_fetch_add(&clock_us, 20 * BH_MS_US);
        struct bh_breaker_permit permit;
        if (bh_breaker_enter(contended, now_us, &permit, NULL) == 0)
            bh_breaker_leave(contended, permit,
                             prng_below(&random, 3) ? BH_BREAKER_FAILURE : BH_BREAKER_SUCCESS,
                             prng_below(&random, 200), now_us);
    }
    return NULL;
}

static void *enter_only(void *const argument)
{
    const uint64_t now_us = *(const uint64_t *)argument;
    for (unsigned i = 0; i < 1000; i++) {
        struct bh_breaker_permit permit;
        if (bh_breaker_enter(contended, now_us, &permit, NULL) == 0)
            atomic_fetch_add(&passed, 1);
    }
    return NULL;
}

static void test_threads_get_exactly_the_probes(void **const state)
{
    (void)state;
    struct bh_breaker_options options = small_options();
    options.probes = 10;
    contended = create(&options);
    trip(contended, START_US);
    uint64_t now_us = START_US + options.open_us;
    atomic_store(&passed, 0);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(bh_thread_start(enter_only, &now_us, &threads[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&passed), 10);
    bh_breaker_destroy(contended);
}

static void test_threads_open_and_close_it(void **const state)
{
    (void)state;
    struct bh_breaker_options options = small_options();
    options.open_us = BH_SECOND_US;
    contended = create(&options);
    atomic_store(&clock_us, START_US);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(bh_thread_start(call_at_random, (void *)(i + 1), &threads[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const struct bh_breaker_status status = status_of(contended, atomic_load(&clock_us));
    assert_true(status.opened > 10 && status.rejected > 1000);
    bh_breaker_destroy(contended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_does_as_the_model),
        cmocka_unit_test(test_one_way_around),
        cmocka_unit_test(test_slow_calls_open_it_too),
        cmocka_unit_test(test_a_lost_probe_counts_as_failed),
        cmocka_unit_test(test_metrics_and_list),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_threads_get_exactly_the_probes),
        cmocka_unit_test(test_threads_open_and_close_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
