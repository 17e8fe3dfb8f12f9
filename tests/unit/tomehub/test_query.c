#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "library/query.h"

#define ENGLISH (1u << TOME_LANGUAGE_ENGLISH)

static const char *const field_signs[] = { "", "title:", "author:", "tag:", "type:", "book:" };

/* The parsed query written out: clauses in (…), alternatives by |, "phrase", 'exact'. */
static const char *parse_text(const struct bh_str text, const bool instant)
{
    static char result[20000];
    struct tome_analyzer *analyzer = NULL;
    struct bh_arena *arena = NULL;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    assert_int_equal(bh_arena_create(1 << 20, &arena), 0);
    struct tome_query query;
    assert_int_equal(tome_query_parse(analyzer, text, ENGLISH, instant, arena, &query), 0);
    size_t size = 0, terms = 0;
#define ADD(...) size += (size_t)snprintf(result + size, sizeof(result) - size, __VA_ARGS__)
    result[0] = '\0';
    for (size_t i = 0; i < query.clause_count; i++) {
        const struct tome_query_clause *const clause = &query.clauses[i];
        assert_true(clause->term_count > 0);
        ADD("%s%s(", i > 0 ? " " : "", clause->negated ? "-" : "");
        for (size_t j = 0; j < clause->term_count; j++, terms++) {
            const struct tome_query_term *const term = &clause->terms[j];
            assert_in_range(term->word_count, 1, TOME_QUERY_PHRASE_MAX);
            ADD("%s%s%s", j > 0 ? "|" : "", field_signs[term->field], term->quoted ? "'" : "");
            for (size_t k = 0; k < term->word_count; k++) {
                const struct bh_str source = term->words[k].source;
                assert_true(source.data >= text.data &&
                            source.data + source.size <= text.data + text.size);
                ADD("%s%.*s", k > 0 ? "_" : "", BH_STR_ARGS(term->words[k].form));
            }
            ADD("%s%s", term->prefix ? "*" : "", term->quoted ? "'" : "");
        }
        ADD(")");
    }
    assert_true(size < sizeof(result));
    assert_int_equal(terms, query.term_count);
    assert_true(terms <= TOME_QUERY_TERMS_MAX);
    bh_arena_destroy(arena);
    tome_analyzer_destroy(analyzer);
    return result;
}

static const char *parse(const char *const text)
{
    return parse_text(bh_str_from(text), false);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(parse("Speckled  Band"), "(speckled) (band)");
    assert_string_equal(parse("state-of-the-art"), "(state) (of) (the) (art)");
    assert_string_equal(parse("whale whale Whale"), "(whale)");
    assert_string_equal(parse("東京 tower"), "(東_京) (tower)");
    assert_string_equal(parse("C'est l'été"), "(c) (est) (l) (ete)");
    assert_string_equal(parse("or not and"), "(or) (not) (and)");
}

static void test_phrases(void **state)
{
    (void)state;
    assert_string_equal(parse("\"Speckled Band\" snake"), "('speckled_band') (snake)");
    assert_string_equal(parse("“Speckled Band” «deux mots»"), "('speckled_band') ('deux_mots')");
    assert_string_equal(parse("\"whale\""), "('whale')");
    assert_string_equal(parse("\"call me ish*\" \"call me\"*"), "('call_me_ish') ('call_me*')");
}

static void test_alternatives(void **state)
{
    (void)state;
    assert_string_equal(parse("sea whale OR shark OR \"giant squid\" ship"),
                        "(sea) (whale|shark|'giant_squid') (ship)");
    assert_string_equal(parse("well-known OR famous"), "(well_known|famous)");
    assert_string_equal(parse("whale or shark"), "(whale) (or) (shark)");
    assert_string_equal(parse("-whale OR shark"), "-(whale) (shark)");
}

static void test_negation(void **state)
{
    (void)state;
    assert_string_equal(parse("whale -white -\"moby dick\" -state-owned"),
                        "(whale) -(white) -('moby_dick') -(state_owned)");
    assert_string_equal(parse("a - b --c 5-3"), "(a) (b) (c) (5) (3)");
}

static void test_prefixes(void **state)
{
    (void)state;
    assert_string_equal(parse("hous* *use f*o"), "(hous*) (use) (f) (o)");
    assert_string_equal(parse_text(BH_STR("big hou"), true), "(big) (hou*)");
    assert_string_equal(parse_text(BH_STR("big hou "), true), "(big) (hou)");
    assert_string_equal(parse_text(BH_STR("\"big hou"), true), "('big_hou')");
    assert_string_equal(parse_text(BH_STR("big-hou"), true), "(big) (hou*)");
}

static void test_fields(void **state)
{
    (void)state;
    assert_string_equal(
        parse("title:Dune AUTHOR:\"Frank Herbert\" tag:sci-fi type:BOOK book:4 -tag:x"),
        "(title:dune) (author:'frank_herbert') (tag:sci_fi) (type:book) (book:4) "
        "-(tag:x)");
    assert_string_equal(parse("title: Dune foo:bar title:"), "(title) (dune) (foo) (bar)");
    assert_string_equal(parse("tag:a OR tag:b"), "(tag:a|tag:b)");
}

static void test_anything_is_a_query(void **state)
{
    (void)state;
    static const char *const nothing[] = {
        "",       "   ",          "\"",   "\"\"",  "- -- OR",   "OR OR", "***",
        "(),;!?", "\x01\x02\x7f", "- \"", "-\"\"", "\"\"*\"\"", ":"
    };
    for (size_t i = 0; i < BH_COUNT_OF(nothing); i++)
        assert_string_equal(parse(nothing[i]), "");
    assert_string_equal(parse("\"unbalanced phrase"), "('unbalanced_phrase')");
    assert_string_equal(parse("a\" b \"c\" d"), "(a) ('b') (c) ('d')");
    assert_string_equal(parse("OR whale OR"), "(whale)");
    assert_string_equal(parse("\x01whale\x02shark\r\n"), "(whale) (shark)");
    assert_string_equal(parse("fish\xff\xfe chips"), "(fish) (chips)");
    assert_string_equal(parse("title:\"\" x"), "(x)");
    assert_string_equal(parse("'; DROP TABLE chunks; --"), "(drop) (table) (chunks)");
    assert_string_equal(parse("a AND (b NEAR c)"), "(a) (and) (b) (near) (c)");
}

static void test_limits(void **state)
{
    (void)state;
    const size_t size = 1000000;
    char *const text = malloc(size);
    assert_non_null(text);
    memset(text, '7', size);
    const char *const digits = parse_text((struct bh_str){ text, size }, false);
    assert_int_equal(strlen(digits), TOME_FORM_MAX + 2);
    for (size_t i = 0; i < size; i++)
        text[i] = i % 2 ? ' ' : (char)('a' + i / 2 % 26);
    parse_text((struct bh_str){ text, size }, false);
    for (size_t i = 0; i < size; i++)
        text[i] = "x OR "[i % 5];
    parse_text((struct bh_str){ text, size }, false);
    memset(text, '"', size);
    assert_string_equal(parse_text((struct bh_str){ text, size }, false), "");
    memset(text, '-', size);
    assert_string_equal(parse_text((struct bh_str){ text, size }, false), "");
    free(text);
}

static void test_memory_limit_is_an_error(void **state)
{
    (void)state;
    struct tome_analyzer *analyzer = NULL;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    int last = BH_ENOMEM;
    for (size_t limit = 16; limit < 32768; limit += 16) {
        struct bh_arena *arena = NULL;
        struct tome_query query;
        assert_int_equal(bh_arena_create(limit, &arena), 0);
        last = tome_query_parse(analyzer, BH_STR("houses \"big cats\" OR running x*"), ENGLISH,
                                false, arena, &query);
        assert_true(last == 0 || last == BH_ENOMEM);
        bh_arena_destroy(arena);
    }
    assert_int_equal(last, 0);
    tome_analyzer_destroy(analyzer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_phrases),
        cmocka_unit_test(test_alternatives),
        cmocka_unit_test(test_negation),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_anything_is_a_query),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory_limit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
