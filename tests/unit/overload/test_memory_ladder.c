/* The ladder on a clock of its own. */
#include "cmocka_setup.h"

#include <stdio.h>
#include <string.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/log.h"
#include "bulkhead/overload/memory_ladder.h"
#include "prng.h"

#define S BH_SECOND_US

static char done[512]; /* what was done and undone, in order */
static bool is_refused;

static void note(const char *const sign, const char *const name)
{
    const size_t used = strlen(done);
    snprintf(done + used, sizeof(done) - used, "%s%s", sign, name);
}

static bool apply(void *const argument)
{
    if (is_refused)
        return false;
    note("", argument);
    return true;
}

static void undo(void *const argument)
{
    note("-", argument);
}

static void add(struct bh_memory_ladder *const ladder, const char *const name,
                const enum bh_memory_level level, const uint64_t after_us, const uint64_t repeat_us)
{
    bh_memory_ladder_add(ladder, &(struct bh_memory_action){ .name = name,
                                                             .level = level,
                                                             .after_us = after_us,
                                                             .repeat_us = repeat_us,
                                                             .apply = apply,
                                                             .undo = undo,
                                                             .argument = (void *)(uintptr_t)name });
}

static struct bh_memory_ladder *create(void)
{
    struct bh_memory_ladder *ladder = NULL;
    assert_int_equal(bh_memory_ladder_create(75, 85, &ladder), 0);
    add(ladder, "a", BH_MEMORY_WARNING, 0, 0);
    add(ladder, "b", BH_MEMORY_WARNING, 0, 10 * S);
    add(ladder, "C", BH_MEMORY_CRITICAL, 0, 0);
    add(ladder, "D", BH_MEMORY_CRITICAL, 30 * S, 60 * S);
    done[0] = '\0';
    is_refused = false;
    return ladder;
}

static enum bh_memory_level feed(struct bh_memory_ladder *const ladder, const double percent,
                                 const uint64_t now_us)
{
    const enum bh_memory_level level = bh_memory_ladder_feed(ladder, percent, BH_MEMORY_CRITICAL,
                                                             now_us);
    bh_memory_ladder_check(ladder);
    bh_memory_ladder_run(ladder, now_us);
    bh_memory_ladder_check(ladder);
    return level;
}

static void test_up_and_down_in_order(void **const state)
{
    (void)state;
    struct bh_memory_ladder *const ladder = create();
    assert_int_equal(feed(ladder, 74.9, 0), BH_MEMORY_OK);
    assert_string_equal(done, "");
    assert_int_equal(feed(ladder, 75, 5 * S), BH_MEMORY_WARNING);
    assert_string_equal(done, "ab");
    assert_int_equal(feed(ladder, 84, 10 * S), BH_MEMORY_WARNING);
    assert_string_equal(done, "ab");
    feed(ladder, 84, 15 * S);
    assert_string_equal(done, "abb"); /* repeated */
    assert_int_equal(feed(ladder, 90, 20 * S), BH_MEMORY_CRITICAL);
    assert_string_equal(done, "abbC");
    feed(ladder, 90, 49 * S);
    assert_string_equal(done, "abbCb");
    feed(ladder, 90, 50 * S);
    assert_string_equal(done, "abbCbD");

    done[0] = '\0';
    assert_int_equal(feed(ladder, 10, 51 * S), BH_MEMORY_CRITICAL); /* must last */
    assert_int_equal(feed(ladder, 10, 61 * S), BH_MEMORY_WARNING);
    assert_string_equal(done, "-D-Cb");
    done[0] = '\0';
    assert_int_equal(feed(ladder, 10, 62 * S), BH_MEMORY_WARNING);
    assert_int_equal(feed(ladder, 10, 72 * S), BH_MEMORY_OK);
    assert_string_equal(done, "-b-a");
    bh_memory_ladder_destroy(ladder);
}

static void test_a_level_that_wavers_stays(void **const state)
{
    (void)state;
    struct bh_memory_ladder *const ladder = create();
    feed(ladder, 76, 0);
    for (uint64_t now = S; now < 600 * S; now += S) /* below the threshold, but not by enough */
        assert_int_equal(feed(ladder, (now % (2 * S)) ? 70.5 : 74.5, now), BH_MEMORY_WARNING);
    for (uint64_t now = 600 * S; now < 1200 * S; now += 5 * S) /* by enough, but not for long */
        assert_int_equal(feed(ladder, (now % (10 * S)) ? 60 : 71, now), BH_MEMORY_WARNING);
    assert_int_equal(done[0], 'a');
    assert_null(strchr(done, '-'));
    bh_memory_ladder_destroy(ladder);
}

static void test_a_step_that_is_late_needs_the_level_to_stand(void **const state)
{
    (void)state;
    struct bh_memory_ladder *const ladder = create();
    feed(ladder, 90, 0);
    feed(ladder, 70, 5 * S);
    assert_int_equal(feed(ladder, 70, 15 * S), BH_MEMORY_WARNING);
    feed(ladder, 70, 60 * S);
    assert_null(strchr(done, 'D'));
    done[0] = '\0';
    feed(ladder, 90, 70 * S); /* the time begins anew */
    assert_non_null(strchr(done, 'C'));
    feed(ladder, 90, 99 * S);
    assert_null(strchr(done, 'D'));
    feed(ladder, 90, 100 * S);
    assert_non_null(strchr(done, 'D'));
    bh_memory_ladder_destroy(ladder);
}

static void test_a_step_that_refuses_is_asked_again(void **const state)
{
    (void)state;
    struct bh_memory_ladder *const ladder = create();
    is_refused = true;
    feed(ladder, 76, 0);
    assert_string_equal(done, "");
    is_refused = false;
    feed(ladder, 76, 1);
    assert_string_equal(done, "ab");
    is_refused = true;
    feed(ladder, 90, 2);
    feed(ladder, 10, 3);
    feed(ladder, 10, 3 + BH_MEMORY_HOLD_US);
    assert_null(strchr(done, '-')); /* nothing was done at critical: nothing to undo */
    bh_memory_ladder_destroy(ladder);
}

static void test_what_others_do_goes_no_further_than_a_warning(void **const state)
{
    (void)state;
    struct bh_memory_ladder *const ladder = create();
    for (uint64_t now = 0; now < 300 * S; now += 5 * S)
        assert_int_equal(bh_memory_ladder_feed(ladder, 99, BH_MEMORY_WARNING, now),
                         BH_MEMORY_WARNING);
    feed(ladder, 99, 300 * S); /* now it is ours */
    assert_non_null(strchr(done, 'C'));
    bh_memory_ladder_feed(ladder, 99, BH_MEMORY_WARNING, 301 * S);
    bh_memory_ladder_feed(ladder, 99, BH_MEMORY_WARNING, 311 * S);
    assert_non_null(strstr(done, "-C"));
    bh_memory_ladder_destroy(ladder);
}

static void test_thresholds_must_rise(void **const state)
{
    (void)state;
    struct bh_memory_ladder *ladder = NULL;
    assert_int_equal(bh_memory_ladder_create(85, 85, &ladder), BH_EINVAL);
    assert_int_equal(bh_memory_ladder_create(0, 85, &ladder), BH_EINVAL);
    assert_null(ladder);
}

/* A walk at random: the invariants hold, and what stands is exactly what the level asks for. */
static void test_a_random_walk(void **const state)
{
    (void)state;
    struct bh_memory_ladder *const ladder = create();
    uint64_t prng = 20260501;
    double percent = 50;
    for (uint64_t now = 0; now < 200000 * S; now += prng_below(&prng, 8 * S)) {
        done[0] = '\0';
        is_refused = prng_below(&prng, 4) == 0;
        percent += (double)(prng_below(&prng, 2001)) / 100 - 10;
        percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
        const enum bh_memory_level level = feed(ladder, percent, now);
        assert_true(percent < 85 || level == BH_MEMORY_CRITICAL);
        assert_true(percent < 75 || level >= BH_MEMORY_WARNING);
    }
    bh_memory_ladder_destroy(ladder);
}

int main(void)
{
    bh_log_setup(BH_LOG_ERROR, BH_LOG_TEXT, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_and_down_in_order),
        cmocka_unit_test(test_a_level_that_wavers_stays),
        cmocka_unit_test(test_a_step_that_is_late_needs_the_level_to_stand),
        cmocka_unit_test(test_a_step_that_refuses_is_asked_again),
        cmocka_unit_test(test_what_others_do_goes_no_further_than_a_warning),
        cmocka_unit_test(test_thresholds_must_rise),
        cmocka_unit_test(test_a_random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
