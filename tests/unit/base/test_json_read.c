#include "cmocka_setup.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "aborts.h"
#include "bulkhead/base/json.h"
#include "bulkhead/base/time.h"
#include "fail_alloc.h"
#include "prng.h"

static void test_values(void **const state)
{
    (void)state;
    json_t *tree = NULL;
    assert_int_equal(
        bh_json_parse(BH_STR(" {\"a\": [1, -2.5e3, true, false, null],\r\n\t"
                             "\"\": \"\\u00e7\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\","
                             " \"big\": 9223372036854775807} \n"),
                      8, &tree, NULL),
        0);
    const json_t *const array = json_object_get(tree, "a");
    assert_int_equal(json_integer_value(json_array_get(array, 0)), 1);
    assert_true(json_real_value(json_array_get(array, 1)) + 2500.0 == 0.0);
    assert_true(json_is_true(json_array_get(array, 2)));
    assert_true(json_is_false(json_array_get(array, 3)));
    assert_true(json_is_null(json_array_get(array, 4)));
    assert_string_equal(json_string_value(json_object_get(tree, "")),
                        "\xC3\xA7\xF0\x9F\x98\x80\"\\/\b\f\n\r\t");
    assert_int_equal(json_integer_value(json_object_get(tree, "big")), INT64_MAX);
    json_decref(tree);
}

static void test_scalars_stand_alone(void **const state)
{
    (void)state;
    static const char *const texts[] = { "0",    "-0",   "1.5",      "1e5",    "-1E-5",
                                         "\"\"", "true", "null",     " 7 ",    "\"\\ud7ff\\ue000\"",
                                         "[]",   "{}",   "[[]]",     "1E400",  "",
                                         "0.0",  "10",   "\"\x7F\"", "1e-400", "[1 ]",
                                         "[ ]",  "{ }" };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        const bool is_bad = texts[i][0] == '\0' || strcmp(texts[i], "1E400") == 0;
        json_t *tree = NULL;
        assert_int_equal(bh_json_parse(bh_str_from(texts[i]), 2, &tree, NULL),
                         is_bad ? BH_ESYNTAX : 0);
        json_decref(tree);
    }
}

static const struct {
    const char *text;
    const char *message;
} malformed[] = {
    { "", "line 1, column 1: a value is expected, but the text ends here" },
    { " \n ", "line 2, column 2: a value is expected, but the text ends here" },
    { "{", "line 1, column 2: a key in double quotes is expected, but the text ends here" },
    { "[", "line 1, column 2: a value is expected, but the text ends here" },
    { "[1", "line 1, column 3: a comma or ] is expected, but the text ends here" },
    { "[1,]", "line 1, column 4: a value is expected, found ']'" },
    { "[1 2]", "line 1, column 4: a comma or ] is expected, found '2'" },
    { "[1}", "line 1, column 3: a comma or ] is expected, found '}'" },
    { "{\"a\":1]", "line 1, column 7: a comma or } is expected, found ']'" },
    { "{\"a\":1,}", "line 1, column 8: a key in double quotes is expected, found '}'" },
    { "{a:1}", "line 1, column 2: a key in double quotes is expected, found 'a'" },
    { "{'a':1}", "line 1, column 2: a key in double quotes is expected, found '''" },
    { "{\"a\" 1}", "line 1, column 6: a colon behind the key is expected, found '1'" },
    { "{\"a\":}", "line 1, column 6: a value is expected, found '}'" },
    { "[1] x", "line 1, column 5: nothing more behind the value is expected, found 'x'" },
    { "1 2", "line 1, column 3: nothing more behind the value is expected, found '2'" },
    { "nul", "line 1, column 1: a value is expected, found 'n'" },
    { "truE", "line 1, column 1: a value is expected, found 't'" },
    { "truex", "line 1, column 5: nothing more behind the value is expected, found 'x'" },
    { "NaN", "line 1, column 1: a value is expected, found 'N'" },
    { "// no", "line 1, column 1: a value is expected, found '/'" },
    { "+1", "line 1, column 1: a value is expected, found '+'" },
    { ".5", "line 1, column 1: a value is expected, found '.'" },
    { "-", "line 1, column 2: a digit is expected, but the text ends here" },
    { "-a", "line 1, column 2: a digit is expected, found 'a'" },
    { "01", "line 1, column 1: a number has no leading zeros" },
    { "[-00]", "line 1, column 3: a number has no leading zeros" },
    { "1.", "line 1, column 3: a digit behind the decimal point is expected, but the text "
            "ends here" },
    { "1e+", "line 1, column 4: a digit of the exponent is expected, but the text ends here" },
    { "9223372036854775808",
      "line 1, column 1: a whole number of 19 digits does not fit into 64 bits" },
    { "[\n -9223372036854775809]",
      "line 2, column 2: a whole number of 19 digits does not fit into 64 bits" },
    { "\"abc", "line 1, column 1: the string that begins here has no closing quote" },
    { "\"abc\\", "line 1, column 5: the text ends inside a string" },
    { "\"a\nb\"", "line 1, column 3: the control character 0x0a must be escaped in a string" },
    { "\"\\x41\"", "line 1, column 2: a backslash stands only before one of \"\\/bfnrtu" },
    { "\"\\u12g4\"", "line 1, column 2: \\u takes four hexadecimal digits" },
    { "\"\\u12", "line 1, column 2: \\u takes four hexadecimal digits" },
    { "\"\\u0000\"", "line 1, column 2: \\u0000 is not allowed in a string" },
    { "\"\\ud800\"", "line 1, column 2: half of a surrogate pair; both halves are needed, as "
                     "in \\ud83d\\ude00" },
    { "\"\\udfff\"", "line 1, column 2: half of a surrogate pair; both halves are needed, as "
                     "in \\ud83d\\ude00" },
    { "\"\\ude00\\ud83d\"", "line 1, column 2: half of a surrogate pair; both halves are "
                            "needed, as in \\ud83d\\ude00" },
    { "\"\xC3\xA4\xFF\"", "line 1, column 3: the byte 0xff is not valid UTF-8" },
    { "\"\xED\xA0\x80\"", "line 1, column 2: the byte 0xed is not valid UTF-8" },
    { "\xC3\xA4", "line 1, column 1: a value is expected, found '\xC3\xA4'" },
    { "\xEF\xBB\xBF{}", "line 1, column 1: a value is expected, found '\xEF\xBB\xBF'" },
    { "[1,\n\x01]", "line 2, column 1: a value is expected, found the byte 0x01" },
    { "{\"a\":1,\n\"a\":2}", "line 2, column 1: the object has this key already" },
    { "{\"a\":1,\"\\u0061\":2}", "line 1, column 8: the object has this key already" },
    { "[1e999]", "line 1, column 2: a number is too large" },
};

static void test_messages_name_place_and_cause(void **const state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT_OF(malformed); i++) {
        struct bh_error error = { .code = 0 };
        json_t *tree = NULL;
        assert_int_equal(bh_json_parse(bh_str_from(malformed[i].text), 8, &tree, &error),
                         BH_ESYNTAX);
        assert_int_equal(error.code, BH_ESYNTAX);
        assert_string_equal(error.message, malformed[i].message);
        assert_null(tree);
    }
    assert_int_equal(bh_json_parse(BH_STR("\"a\0b\""), 8, &(json_t *){ NULL }, NULL), BH_ESYNTAX);
    assert_int_equal(bh_json_parse(BH_STR("1\0"), 8, &(json_t *){ NULL }, NULL), BH_ESYNTAX);
    assert_int_equal(bh_json_parse(BH_STR_NONE, 8, &(json_t *){ NULL }, NULL), BH_ESYNTAX);
}

/* `count` times `piece`, then `tail`. */
static struct bh_buf repeated(const char *const piece, const size_t count, const char *const tail)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 32 << 20);
    for (size_t i = 0; i < count; i++)
        bh_buf_append_str(&buf, bh_str_from(piece));
    bh_buf_append_str(&buf, bh_str_from(tail));
    assert_int_equal(bh_buf_error(&buf), 0);
    return buf;
}

static void check_hostile(struct bh_buf text, const int code, const char *const message)
{
    struct bh_error error = { .code = 0 };
    json_t *tree = NULL;
    const uint64_t begin_us = bh_time_now_us();
    assert_int_equal(bh_json_parse(bh_buf_peek(&text), 64, &tree, &error), code);
    assert_true(bh_time_now_us() - begin_us < 5 * BH_SECOND_US);
    if (message)
        assert_string_equal(error.message, message);
    json_decref(tree);
    bh_buf_fini(&text);
}

static void test_hostile_texts(void **const state)
{
    (void)state;
    check_hostile(repeated("9", 1000000, ""), BH_ESYNTAX,
                  "line 1, column 1: a whole number of 1000000 digits does not fit into 64 bits");
    check_hostile(repeated("9", 1000000, ".5"), BH_ESYNTAX,
                  "line 1, column 1: a number of 1000002 characters; at most 800 are read");
    check_hostile(repeated("0", 1, ".5e1"), 0, NULL);
    check_hostile(repeated("[", 1000000, ""), BH_ELIMIT,
                  "line 1, column 65: nested deeper than 64 levels");
    check_hostile(repeated("{\"a\":", 1000000, ""), BH_ELIMIT, NULL);
    check_hostile(repeated(" ", 10000000, "1"), 0, NULL);
    check_hostile(repeated("\n", 10000000, "x"), BH_ESYNTAX,
                  "line 10000001, column 1: a value is expected, found 'x'");
    check_hostile(repeated("[", 1, "\"\\"), BH_ESYNTAX, NULL);
    check_hostile(repeated("[],", 90000, ""), BH_ESYNTAX, NULL);

    struct bh_buf many = repeated("[", 1, "");
    for (int i = 1; i < BH_JSON_VALUES_MAX - 1; i++)
        bh_buf_append_str(&many, BH_STR("0,"));
    struct bh_buf too_many = repeated("[", 1, "");
    bh_buf_append(&too_many, many.data + 1, many.size - 1);
    bh_buf_append_str(&many, BH_STR("0]"));
    bh_buf_append_str(&too_many, BH_STR("0,0]"));
    check_hostile(many, 0, NULL);
    check_hostile(too_many, BH_ELIMIT, "line 1, column 200000: more than 100000 values");
}

/* Thousands of different keys with one hash would be slow; jansson's hash has a random seed. */
static void test_many_keys(void **const state)
{
    (void)state;
    struct bh_buf text;
    bh_buf_init(&text, 32 << 20);
    for (int i = 0; i < BH_JSON_VALUES_MAX - 1; i++)
        bh_buf_printf(&text, "%s\"key%d\":%d", i == 0 ? "{" : ",", i, i);
    bh_buf_append_byte(&text, '}');
    check_hostile(text, 0, NULL);
}

static void test_depth(void **const state)
{
    (void)state;
    struct bh_error error;
    json_t *tree = NULL;
    assert_int_equal(bh_json_parse(BH_STR("1"), 0, &tree, NULL), 0);
    json_decref(tree);
    assert_int_equal(bh_json_parse(BH_STR("[]"), 0, &tree, &error), BH_ELIMIT);
    assert_int_equal(bh_json_parse(BH_STR("[[1],[{\"[[[[\":\"{{{{\"}]]"), 3, &tree, NULL), 0);
    json_decref(tree);
    assert_int_equal(bh_json_parse(BH_STR("[[1],[{\"a\":[]}]]"), 3, &tree, &error), BH_ELIMIT);
    assert_string_equal(error.message, "line 1, column 12: nested deeper than 3 levels");
}

static void *parse_deepest(void *const argument)
{
    const struct bh_buf *const text = argument;
    json_t *tree = NULL;
    const int result = bh_json_parse(bh_buf_peek(text), BH_JSON_READ_DEPTH_MAX, &tree, NULL);
    json_decref(tree);
    return result == 0 ? text->data : NULL;
}

/* A fiber has 256 KiB; the deepest text must leave most of it to the handler. */
static void test_little_stack_is_enough(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip(); /* sanitizers make stack frames several times larger */
    struct bh_buf text = repeated("[{\"a\":", BH_JSON_READ_DEPTH_MAX / 2, "1");
    for (int i = 0; i < BH_JSON_READ_DEPTH_MAX / 2; i++)
        bh_buf_append_str(&text, BH_STR("}]"));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 48 << 10), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, &attributes, parse_deepest, &text), 0);
    void *result = NULL;
    pthread_join(thread, &result);
    pthread_attr_destroy(&attributes);
    assert_non_null(result);
    bh_buf_fini(&text);
}

static const char document[] =
    "{\"query\":\"\\\"speckled band\\\" \\u00e7\",\"page\":1,\"filters\":{\"book_id\":[4,5],"
    "\"author\":null,\"w\":-1.5e-3},\"facets\":true,\"t\":\"\xE2\x82\xAC\"} ";

static void test_cut_anywhere(void **const state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(document) - 2; size++) {
        char *const cut = malloc(size + 1); /* the sanitizer sees a byte too far */
        memcpy(cut, document, size);
        char *const exact = realloc(cut, size > 0 ? size : 1);
        json_t *tree = NULL;
        assert_int_equal(
            bh_json_parse((struct bh_str){ .data = exact, .size = size }, 8, &tree, NULL),
            BH_ESYNTAX);
        free(exact);
    }
}

/* Our check and jansson agree about what JSON is; limits aside, which these texts do not reach. */
static void test_agrees_with_jansson(void **const state)
{
    (void)state;
    static const char bytes[] = "{}[],:\"\\/ubn0123456789+-.eEtruefalsnul \n\x01\x7F\xC3\xA4\xFF";
    uint64_t seed = 29;
    int accepted = 0;
    for (int i = 0; i < 100000; i++) {
        char text[sizeof(document)];
        memcpy(text, document, sizeof(document));
        size_t size = sizeof(document) - 1;
        for (uint64_t changes = 1 + prng_below(&seed, 3); changes > 0; changes--) {
            const size_t at = (size_t)prng_below(&seed, size);
            if (prng_below(&seed, 4) == 0) {
                memmove(text + at, text + at + 1, size - at - 1);
                size--;
            } else {
                text[at] = bytes[prng_below(&seed, sizeof(bytes) - 1)];
            }
        }
        json_t *const theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                                          NULL);
        json_t *ours = NULL;
        const int result = bh_json_parse((struct bh_str){ .data = text, .size = size }, 16, &ours,
                                         NULL);
        if ((result == 0) != (theirs != NULL))
            fail_msg("we say %d: %.*s", result, (int)size, text);
        accepted += result == 0;
        assert_true(json_equal(ours, theirs) || !ours);
        json_decref(ours);
        json_decref(theirs);
    }
    assert_true(accepted > 3000);
}

static void test_exhausted_heap(void **const state)
{
    (void)state;
    if (!fail_alloc_is_supported())
        skip();
    const struct bh_str text = { .data = document, .size = sizeof(document) - 1 };
    json_t *whole = NULL;
    assert_int_equal(bh_json_parse(text, 8, &whole, NULL), 0);
    int refused = 0;
    for (unsigned n = 1;; n++) {
        json_t *tree = NULL;
        struct bh_error error = { .code = 0 };
        fail_alloc_arm(n);
        const int result = bh_json_parse(text, 8, &tree, &error);
        const bool struck = fail_alloc_disarm();
        if (result == 0) { /* the C library does without some of its buffers */
            assert_true(json_equal(tree, whole));
            json_decref(tree);
        } else {
            assert_int_equal(result, BH_ENOMEM);
            assert_int_equal(error.code, BH_ENOMEM);
            assert_null(tree);
            refused++;
        }
        if (!struck)
            break;
    }
    assert_true(refused > 20);
    json_decref(whole);
}

static void ask_for_too_much_depth(void *const argument)
{
    json_t *tree;
    const int result = bh_json_parse(BH_STR("1"), BH_JSON_READ_DEPTH_MAX + 1, &tree, argument);
    (void)result;
}

static void test_misuse_aborts(void **const state)
{
    (void)state;
    assert_true(aborts(ask_for_too_much_depth, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_scalars_stand_alone),
        cmocka_unit_test(test_messages_name_place_and_cause),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_little_stack_is_enough),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_agrees_with_jansson),
        cmocka_unit_test(test_exhausted_heap),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
