/* The difference of two answers of GET /api/admin/queries. */
#include "cmocka_setup.h"

#include "cli/profile_table.h"

#include <string.h>

static json_t *answer(const char *const text)
{
    json_t *json = NULL;
    struct bh_error error;
    if (bh_json_parse(bh_str_from(text), 8, &json, &error) != 0)
        fail_msg("%s", error.message);
    return json;
}

#define QUERY(durations)                                                                     \
    "{\"fingerprint\": \"1\", \"name\": \"a\", \"sql\": \"SELECT 1\", \"executions\": 300, " \
    "\"total_seconds\": 100.5, \"durations\": " durations "}"

static struct tome_profile between(const json_t *const before, const json_t *const after)
{
    struct tome_profile profile;
    struct bh_error error;
    if (tome_profile_between(before, after, &profile, &error) != 0)
        fail_msg("%s", error.message);
    return profile;
}

/* A hundred executions of a second each before the window do not make its p95. */
static void test_p95_is_the_windows(void **const state)
{
    (void)state;
    json_t *const before = answer(
        "{\"uptime_seconds\": 10, \"queries\": [{\"fingerprint\": \"1\", \"executions\": 100, "
        "\"total_seconds\": 100, \"durations\": [[1000000, 1100000, 100]]}]}");
    json_t *const after = answer("{\"uptime_seconds\": 20, \"queries\": [" QUERY(
        "[[100, 110, 180], [2000, 2200, 20], [1000000, 1100000, 100]]") ", "
                                                                        "{\"fingerprint\": \"2\", "
                                                                        "\"name\": \"b\", \"sql\": "
                                                                        "\"SELECT 2\", "
                                                                        "\"executions\": 1800, "
                                                                        "\"total_seconds\": 0.1, "
                                                                        "\"durations\": [[7, 8, "
                                                                        "1800]]}]}");
    struct tome_profile profile = between(before, after);
    assert_int_equal(profile.count, 2);
    assert_int_equal(profile.rows[0].executions, 200);
    /* 190 of 200: the middle of those that took 2 ms. */
    assert_true(profile.rows[0].p95_seconds > 0.00209 && profile.rows[0].p95_seconds < 0.00211);
    assert_true(profile.rows[1].p95_seconds > 0.0000079 && profile.rows[1].p95_seconds < 0.000008);
    /* Of all 2,000, 100 took longer than 8 µs: 1,900 are in the second bucket, at 100 of 180. */
    assert_true(profile.p95_seconds > 0.000105 && profile.p95_seconds < 0.000106);
    tome_profile_fini(&profile);
    json_decref(before);
    json_decref(after);
}

static void test_answers_without_durations(void **const state)
{
    (void)state;
    static const char *const odd[] = { "[]", "[[1]]", "\"x\"", "[[3, 2, 5], [1, 2, -9], []]" };
    json_t *const before = answer("{\"uptime_seconds\": 1, \"queries\": []}");
    for (size_t i = 0; i < BH_COUNT_OF(odd); i++) {
        char text[512];
        snprintf(text, sizeof(text), "{\"uptime_seconds\": 2, \"queries\": [" QUERY("%s") "]}",
                 odd[i]);
        json_t *const after = answer(text);
        struct tome_profile profile = between(before, after);
        assert_int_equal(profile.rows[0].executions, 300);
        assert_true(profile.rows[0].p95_seconds < 0.001);
        tome_profile_fini(&profile);
        json_decref(after);
    }
    json_decref(before);
}

/* More bounds than any server sends. */
static void test_too_many_durations(void **const state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, 1 << 20);
    bh_buf_printf(&text, "{\"uptime_seconds\": 2, \"queries\": [{\"fingerprint\": \"1\", "
                         "\"executions\": 1, \"durations\": [[0, 1, 1]");
    for (int i = 1000; i > 0; i--)
        bh_buf_printf(&text, ", [%d, %d, 1]", i, i + 1);
    bh_buf_printf(&text, "]}]}");
    bh_buf_append_byte(&text, '\0');
    json_t *const before = answer("{\"uptime_seconds\": 1, \"queries\": []}");
    json_t *const after = answer(text.data);
    struct tome_profile profile = between(before, after);
    assert_int_equal(profile.count, 1);
    tome_profile_fini(&profile);
    json_decref(before);
    json_decref(after);
    bh_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p95_is_the_windows),
        cmocka_unit_test(test_answers_without_durations),
        cmocka_unit_test(test_too_many_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
