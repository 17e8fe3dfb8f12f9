#include "cmocka_setup.h"

#include <math.h>
#include <stdio.h>

#include "aborts.h"
#include "bulkhead/base/json.h"
#include "fail_alloc.h"
#include "prng.h"

static void assert_text(const struct bh_buf *const buf, const char *const expected)
{
    assert_int_equal(bh_buf_error(buf), 0);
    if (!bh_str_equal(bh_buf_peek(buf), bh_str_from(expected)))
        fail_msg("%.*s\nis not\n%s", BH_STR_ARGS(bh_buf_peek(buf)), expected);
}

static void write_sample(struct bh_json *const json)
{
    bh_json_object_begin(json);
    bh_json_kv_string(json, "title", BH_STR("Moby-Dick; or, \"The Whale\""));
    bh_json_kv_int(json, "id", 42);
    bh_json_kv_double(json, "score", 12.3);
    bh_json_kv_bool(json, "ready", true);
    bh_json_kv_bool(json, "purged", false);
    bh_json_kv_null(json, "next");
    bh_json_kv_array(json, "tags");
    bh_json_string(json, BH_STR("sea"));
    bh_json_array_begin(json);
    bh_json_array_end(json);
    bh_json_int(json, -1);
    bh_json_object_begin(json);
    bh_json_object_end(json);
    bh_json_array_end(json);
    bh_json_kv_object(json, "metadata");
    bh_json_key(json, BH_STR("raw"));
    bh_json_raw(json, BH_STR("[1, 2]"));
    bh_json_key(json, BH_STR("ms"));
    bh_json_fixed(json, 1.26, 1);
    bh_json_object_end(json);
    bh_json_object_end(json);
}

static const char sample[] =
    "{\"title\":\"Moby-Dick; or, \\\"The Whale\\\"\",\"id\":42,\"score\":12.3,\"ready\":true,"
    "\"purged\":false,\"next\":null,\"tags\":[\"sea\",[],-1,{}],"
    "\"metadata\":{\"raw\":[1, 2],\"ms\":1.3}}";

static void test_commas_and_nesting(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1 << 16);
    struct bh_json json;
    bh_json_init(&json, &buf);
    write_sample(&json);
    assert_text(&buf, sample);
}

static void test_deepest_nesting(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1 << 16);
    struct bh_json json;
    bh_json_init(&json, &buf);
    for (int i = 0; i < BH_JSON_DEPTH_MAX; i++) {
        bh_json_array_begin(&json);
        bh_json_int(&json, i);
    }
    for (int i = 0; i < BH_JSON_DEPTH_MAX; i++) {
        bh_json_int(&json, i);
        bh_json_array_end(&json);
    }
    json_t *tree = NULL;
    assert_int_equal(bh_json_parse(bh_buf_peek(&buf), BH_JSON_DEPTH_MAX, &tree, NULL), 0);
    assert_int_equal(json_array_size(tree), 3);
    json_decref(tree);
}

static void test_numbers_that_are_not_finite(void **const state)
{
    (void)state;
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, 1 << 16);
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_array_begin(&json);
    bh_json_double(&json, (double)NAN);
    bh_json_double(&json, (double)INFINITY);
    bh_json_fixed(&json, (double)-INFINITY, 3);
    bh_json_double(&json, 1);
    bh_json_int(&json, INT64_MIN);
    bh_json_array_end(&json);
    assert_text(&buf, "[null,null,null,1.0,-9223372036854775808]");
}

/* The rules, byte by byte, without any cleverness. */
static size_t quote_plainly(const struct bh_str text, char *const to)
{
    size_t size = 0;
    to[size++] = '"';
    for (size_t at = 0; at < text.size;) {
        const unsigned char byte = (unsigned char)text.data[at];
        const size_t sequence = bh_str_utf8_sequence(text.data + at, text.size - at);
        const char *const escaped = memchr("\"\\\b\f\n\r\t", byte, 7);
        if (sequence == 0) {
            memcpy(to + size, "\xEF\xBF\xBD", 3);
            size += 3;
        } else if (escaped) {
            to[size++] = '\\';
            to[size++] = "\"\\bfnrt"[escaped - "\"\\\b\f\n\r\t"];
        } else if (byte < 0x20) {
            size += (size_t)snprintf(to + size, 8, "\\u%04x", byte);
        } else {
            memcpy(to + size, text.data + at, sequence);
            size += sequence;
        }
        at += sequence > 0 ? sequence : 1;
    }
    to[size++] = '"';
    return size;
}

static void check_string(const struct bh_str text)
{
    char expected[1024];
    assert_true(text.size < 160);
    const size_t size = quote_plainly(text, expected);
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
    bh_buf_init(&buf, size); /* exactly enough */
    struct bh_json json;
    bh_json_init(&json, &buf);
    bh_json_string(&json, text);
    assert_int_equal(bh_buf_error(&buf), 0);
    if (!bh_str_equal(bh_buf_peek(&buf), (struct bh_str){ .data = expected, .size = size }))
        fail_msg("%.*s\nis not\n%.*s", BH_STR_ARGS(bh_buf_peek(&buf)), (int)size, expected);
}

/* Across the steps of 16 and 8 bytes and the tail; the text ends where its memory ends. */
static void test_every_byte_at_every_offset(void **const state)
{
    (void)state;
    for (size_t size = 1; size <= 40; size++) {
        char *const text = malloc(size);
        assert_non_null(text);
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'a', size);
                text[at] = (char)byte;
                check_string((struct bh_str){ .data = text, .size = size });
            }
        }
        free(text);
    }
}

static void test_strings_of_all_sorts(void **const state)
{
    (void)state;
    check_string(BH_STR_NONE);
    check_string(BH_STR("nul \0 inside"));
    check_string(BH_STR("İstanbul, çöğüş — ağaç, 日本語, \U0001F600 und Wörter"));
    check_string(BH_STR("\xC0\xAF overlong, \xED\xA0\x80 surrogate, \xF4\x90\x80\x80 too far"));
    check_string(BH_STR("cut \xE2\x82"));
    check_string(BH_STR("\x7F stays"));
    static const char *const pieces[] = {
        "a", "plain text ", "\"",       "\\", "\n",   "\x01",
        "ğ", "\xFF",        "\xE2\x82", "€",  "\xC3", "\U0001F600"
    };
    uint64_t seed = 17;
    for (int i = 0; i < 100000; i++) {
        char text[160];
        size_t size = 0;
        const uint64_t count = prng_below(&seed, 14);
        for (uint64_t j = 0; j < count; j++) {
            const char *const piece = pieces[prng_below(&seed, BH_COUNT_OF(pieces))];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        check_string((struct bh_str){ .data = text, .size = size });
    }
}

static void test_maximum_of_the_buffer_holds(void **const state)
{
    (void)state;
    for (size_t maximum = 0; maximum <= sizeof(sample); maximum++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
        bh_buf_init(&buf, maximum);
        struct bh_json json;
        bh_json_init(&json, &buf);
        write_sample(&json);
        assert_true(buf.size <= maximum);
        assert_int_equal(bh_buf_error(&buf), maximum < strlen(sample) ? BH_ELIMIT : 0);
    }
}

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    for (unsigned n = 1;; n++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
        bh_buf_init(&buf, 1 << 16);
        struct bh_json json;
        bh_json_init(&json, &buf);
        fail_alloc_arm(n);
        bh_json_array_begin(&json);
        for (int i = 0; i < 5; i++)
            write_sample(&json);
        bh_json_array_end(&json);
        const bool struck = fail_alloc_disarm();
        assert_int_equal(bh_buf_error(&buf), struck ? BH_ENOMEM : 0);
        if (!struck) {
            assert_in_range(n, 3, 10);
            break;
        }
    }
}

/* ---- What we write is read by others as we meant it ---- */

/* NOLINTNEXTLINE(misc-no-recursion): the test bounds the depth */
static json_t *write_random(struct bh_json *const json, uint64_t *const seed, const int depth)
{
    const uint64_t kind = prng_below(seed, depth < 6 ? 7 : 5);
    if (kind == 0) {
        bh_json_null(json);
        return json_null();
    }
    if (kind == 1) {
        const bool value = prng_below(seed, 2) == 1;
        bh_json_bool(json, value);
        return json_boolean(value);
    }
    if (kind == 2) {
        const int64_t value = (int64_t)(prng_next(seed) >> prng_below(seed, 64));
        bh_json_int(json, value);
        return json_integer(value);
    }
    if (kind == 3) {
        const double value = (double)(int64_t)prng_next(seed) /
                             (double)(1 + prng_below(seed, 1000));
        bh_json_double(json, value);
        return json_real(value);
    }
    char text[24];
    size_t size = 0;
    for (uint64_t left = prng_below(seed, sizeof(text)); left > 0; left--)
        text[size++] = (char)(1 + prng_below(seed, 127));
    if (kind == 4) {
        bh_json_string(json, (struct bh_str){ .data = text, .size = size });
        return json_stringn(text, size);
    }
    json_t *const tree = kind == 5 ? json_array() : json_object();
    const uint64_t count = prng_below(seed, 5);
    if (kind == 5) {
        bh_json_array_begin(json);
        for (uint64_t i = 0; i < count; i++)
            json_array_append_new(tree, write_random(json, seed, depth + 1));
        bh_json_array_end(json);
        return tree;
    }
    bh_json_object_begin(json);
    for (uint64_t i = 0; i < count; i++) {
        char key[40];
        snprintf(key, sizeof(key), "%llu\"%.*s", (unsigned long long)i, (int)size, text);
        bh_json_key(json, bh_str_from(key));
        json_object_set_new(tree, key, write_random(json, seed, depth + 1));
    }
    bh_json_object_end(json);
    return tree;
}

static void test_round_trip(void **const state)
{
    (void)state;
    uint64_t seed = 23;
    for (int i = 0; i < 20000; i++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
        bh_buf_init(&buf, 1 << 20);
        struct bh_json json;
        bh_json_init(&json, &buf);
        json_t *const meant = write_random(&json, &seed, 0);
        json_t *tree = NULL;
        struct bh_error error;
        if (bh_json_parse(bh_buf_peek(&buf), 32, &tree, &error) != 0)
            fail_msg("%s: %.*s", error.message, BH_STR_ARGS(bh_buf_peek(&buf)));
        if (!json_equal(meant, tree))
            fail_msg("not as meant: %.*s", BH_STR_ARGS(bh_buf_peek(&buf)));
        json_decref(tree);
        json_decref(meant);
    }
}

/* ---- Programmers' mistakes ---- */

static void value_without_key(void *const argument)
{
    bh_json_object_begin(argument);
    bh_json_int(argument, 1);
}

static void key_in_array(void *const argument)
{
    bh_json_array_begin(argument);
    bh_json_key(argument, BH_STR("key"));
}

static void key_without_value(void *const argument)
{
    bh_json_object_begin(argument);
    bh_json_key(argument, BH_STR("key"));
    bh_json_object_end(argument);
}

static void wrong_end(void *const argument)
{
    bh_json_object_begin(argument);
    bh_json_array_end(argument);
}

static void end_too_many(void *const argument)
{
    bh_json_array_end(argument);
}

static void too_deep(void *const argument)
{
    for (int i = 0; i <= BH_JSON_DEPTH_MAX; i++)
        bh_json_array_begin(argument);
}

static void test_misuse_aborts(void **const state)
{
    (void)state;
    void (*const mistakes[])(void *) = { value_without_key, key_in_array, key_without_value,
                                         wrong_end,         end_too_many, too_deep };
    for (size_t i = 0; i < BH_COUNT_OF(mistakes); i++) {
        BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf buf;
        bh_buf_init(&buf, 1 << 16);
        struct bh_json json;
        bh_json_init(&json, &buf);
        assert_true(aborts(mistakes[i], &json));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commas_and_nesting),
        cmocka_unit_test(test_deepest_nesting),
        cmocka_unit_test(test_numbers_that_are_not_finite),
        cmocka_unit_test(test_every_byte_at_every_offset),
        cmocka_unit_test(test_strings_of_all_sorts),
        cmocka_unit_test(test_maximum_of_the_buffer_holds),
        cmocka_unit_test(test_exhausted_heap),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
