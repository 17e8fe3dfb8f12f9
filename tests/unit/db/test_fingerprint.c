/* Statements by their shape, from well-formed and malformed texts. */
#include "cmocka_setup.h"

#include <pthread.h>
#include <stdlib.h>

#include "bulkhead/base/str.h"
#include "db/fingerprint.h"
#include "prng.h"

static uint64_t plain(const char *const text, const char *const expected)
{
    struct bh_fingerprint fingerprint;
    bh_fingerprint_plain(text, &fingerprint);
    assert_string_equal(fingerprint.text, expected);
    return fingerprint.id;
}

static uint64_t plain_id(const char *const text)
{
    struct bh_fingerprint fingerprint;
    bh_fingerprint_plain(text, &fingerprint);
    return fingerprint.id;
}

static void test_constants_go(void **const state)
{
    (void)state;
    plain("SELECT a FROM t WHERE b = 5 AND c = 'it''s' AND d < 1.5e-3",
          "SELECT a FROM t WHERE b = ? AND c = ? AND d < ?");
    plain("SELECT x'00ff', E'it\\'s', N'a', .5, 0x1F, 1e5", "SELECT ?, …");
    plain("SELECT $$one ' two$$, $tag$ $$ ' $tag$ || a", "SELECT ?, … || a");
    plain("VALUES (1, 2), (3)", "VALUES (?, …), (?)");
    plain("SELECT t1.c2 FROM t1", "SELECT t1.c2 FROM t1");
    plain("SELECT like'x', e", "SELECT like?, e");
}

static void test_parameters_and_names_stay(void **const state)
{
    (void)state;
    plain("WHERE a = ?1 AND b = :name AND c = @c AND d = $2 AND e = $x",
          "WHERE a = ?1 AND b = :name AND c = @c AND d = $2 AND e = $x");
    plain("SELECT \"a'b\", `c'd` FROM \"T\"", "SELECT \"a'b\", `c'd` FROM \"T\"");
    plain("SELECT straße, ключ", "SELECT straße, ключ");
    plain("SELECT a::int", "SELECT a::int");
}

static void test_blanks_comments_and_case_do_not_count(void **const state)
{
    (void)state;
    const uint64_t id = plain("SELECT a FROM t WHERE b IN (1,2,3)",
                              "SELECT a FROM t WHERE b IN (?, …)");
    assert_int_equal(plain_id("  select A\n\tfrom T -- a ' comment\n where b in ( 7 , 8 )"), id);
    assert_int_equal(plain_id("SELECT/* ' */a FROM t WHERE b IN (?, ?)"), id);
    plain("-- first\nSELECT /* two */ 1 /* last */ ", "SELECT ?");
    plain("SELECT\n    a,\n    b", "SELECT a, b");
}

static void test_shapes_differ(void **const state)
{
    (void)state;
    const uint64_t id = plain_id("SELECT a FROM t WHERE b = 1");
    assert_int_not_equal(plain_id("SELECT a FROM t WHERE c = 1"), id);
    assert_int_not_equal(plain_id("SELECT a FROM t"), id);
    assert_int_not_equal(plain_id("SELECT \"A\" FROM t WHERE b = 1"),
                         plain_id("SELECT \"a\" FROM t WHERE b = 1"));
    assert_int_not_equal(plain_id("SELECT ab"), plain_id("SELECT a b"));
    assert_int_not_equal(plain_id("SELECT 1"), plain_id("SELECT 1,"));
}

static void test_malformed_texts_end(void **const state)
{
    (void)state;
    plain("", "");
    plain(" \n", "");
    plain("-- only a comment", "");
    plain("/* open", "");
    plain("SELECT 'open", "SELECT ?");
    plain("SELECT E'open\\", "SELECT ?");
    plain("SELECT \"open", "SELECT \"open");
    plain("SELECT $tag$ open $ta", "SELECT ?");
    plain("SELECT $", "SELECT $");
    plain("SELECT '", "SELECT ?");
    plain("'a', 'b',", "?, …,");
    plain("1,,2", "?,,?");
    plain("\x01\xff\xfe;", "\x01\xff\xfe;");
}

static void test_a_long_text_is_cut_and_all_of_it_counts(void **const state)
{
    (void)state;
    const size_t size = 100000;
    char *const text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = i % 5 == 4 ? ' ' : 'a';
    text[size] = '\0';
    struct bh_fingerprint one, two;
    bh_fingerprint_plain(text, &one);
    text[size - 2] = 'b';
    bh_fingerprint_plain(text, &two);
    assert_true(strlen(one.text) <= BH_FINGERPRINT_TEXT_MAX + strlen("…"));
    assert_true(bh_str_ends_with(bh_str_from(one.text), BH_STR("…")));
    assert_string_equal(one.text, two.text);
    assert_int_not_equal(one.id, two.id);
    free(text);
}

/* Nothing that a text may hold makes the reader leave it; ASan and the size of `text` tell. */
static void test_random_bytes(void **const state)
{
    (void)state;
    static const char alphabet[] = "'\"`$?:@-/*,.;()eExX019aZ_ \n\\\xc3\xa9\x80";
    uint64_t random = 7;
    for (int round = 0; round < 50000; round++) {
        char *const text = malloc(65);
        assert_non_null(text);
        const size_t size = prng_below(&random, 64);
        for (size_t i = 0; i < size; i++)
            text[i] = alphabet[prng_below(&random, sizeof(alphabet) - 1)];
        text[size] = '\0';
        struct bh_fingerprint fingerprint;
        bh_fingerprint_plain(text, &fingerprint);
        assert_true(strlen(fingerprint.text) <= 3 * size + 3);
        free(text);
    }
}

static void test_postgres_reads_its_grammar(void **const state)
{
    (void)state;
    struct bh_fingerprint one, two, three;
    bh_fingerprint_postgres("SELECT a\n  FROM t -- here\n WHERE b = 5 AND c IN ('x', 'y')", &one);
    assert_string_equal(one.text, "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)");
    bh_fingerprint_postgres("select a from t where b=$1 and c in ($2)", &two);
    assert_int_equal(one.id, two.id);
    bh_fingerprint_postgres("SELECT a FROM t WHERE b = 5", &three);
    assert_int_not_equal(one.id, three.id);
}

static void test_postgres_refuses(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "INSERT OR IGNORE INTO t VALUES (1)", "SELECT", "'", "", "\xff\xfe", "BEGIN IMMEDIATE"
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        struct bh_fingerprint parsed, read;
        bh_fingerprint_postgres(texts[i], &parsed);
        bh_fingerprint_plain(texts[i], &read);
        assert_string_equal(parsed.text, read.text);
    }
}

static void *read_in_thread(void *const argument)
{
    (void)argument;
    struct bh_fingerprint fingerprint;
    for (int i = 0; i < 200; i++)
        bh_fingerprint_postgres(i % 2 ? "SELECT a FROM t WHERE b = 5" : "SELECT FROM WHERE",
                                &fingerprint);
    return NULL;
}

static void test_postgres_in_threads(void **const state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < BH_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, NULL), 0);
    for (size_t i = 0; i < BH_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants_go),
        cmocka_unit_test(test_parameters_and_names_stay),
        cmocka_unit_test(test_blanks_comments_and_case_do_not_count),
        cmocka_unit_test(test_shapes_differ),
        cmocka_unit_test(test_malformed_texts_end),
        cmocka_unit_test(test_a_long_text_is_cut_and_all_of_it_counts),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_postgres_reads_its_grammar),
        cmocka_unit_test(test_postgres_refuses),
        cmocka_unit_test(test_postgres_in_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
