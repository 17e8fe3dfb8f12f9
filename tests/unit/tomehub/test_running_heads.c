#include "cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "extract/running_heads.h"

#define PAGES 12

static void heads_and_page_numbers_are_dropped(void **state)
{
    (void)state;
    static char pages[PAGES][400];
    struct tome_head_edges edges[PAGES];
    for (uint32_t i = 0; i < PAGES; i++) {
        snprintf(pages[i], sizeof(pages[i]),
                 "THE TITLE\nPart One\n\nbody %u text\nmore body\nconfidential\nPage %u of 12\n",
                 i + 1, i + 1);
        edges[i] = tome_head_edges(bh_str_from(pages[i]), i + 1);
    }
    for (unsigned i = 0; i < PAGES; i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "body %u text\nmore body", i + 1);
        const struct bh_str rest = bh_str_trim(
            tome_head_strip(bh_str_from(pages[i]), edges, PAGES, i));
        assert_true(bh_str_equal(rest, bh_str_from(expected)));
    }
}

static void text_that_differs_stays(void **state)
{
    (void)state;
    static const char *const words[PAGES] = { "alpha", "beta",  "gamma", "delta", "eps",    "zeta",
                                              "eta",   "theta", "iota",  "kappa", "lambda", "mu" };
    static char pages[PAGES][200];
    struct tome_head_edges edges[PAGES];
    for (uint32_t i = 0; i < PAGES; i++) {
        /* Left and right pages take turns; numbers are roman. */
        static const char *const roman[] = { "i",   "ii",   "iii", "iv", "v",  "vi",
                                             "vii", "viii", "ix",  "x",  "xi", "xii" };
        snprintf(pages[i], sizeof(pages[i]), "%s\n%s one\n\ntwo %s\n%s\n",
                 i % 2 ? "A. Writer" : "The Book", words[i], words[i], roman[i]);
        edges[i] = tome_head_edges(bh_str_from(pages[i]), i + 1);
    }
    for (size_t i = 0; i < PAGES; i++) {
        char expected[100];
        snprintf(expected, sizeof(expected), "%s one\n\ntwo %s", words[i], words[i]);
        const struct bh_str rest = bh_str_trim(
            tome_head_strip(bh_str_from(pages[i]), edges, PAGES, i));
        assert_int_equal(rest.size, strlen(expected));
        assert_memory_equal(rest.data, expected, rest.size);
    }
}

static void nothing_outside_of_the_page_number_is_text(void **state)
{
    (void)state;
    static const char *const pages[] = { "one\nbody a\n7\nChapter One", "two\nbody b\n8\nPart A",
                                         "three\nbody c\n9\nChapter Two" };
    struct tome_head_edges edges[BH_COUNT_OF(pages)];
    for (uint32_t i = 0; i < BH_COUNT_OF(pages); i++)
        edges[i] = tome_head_edges(bh_str_from(pages[i]), i + 1);
    const struct bh_str rest = tome_head_strip(bh_str_from(pages[1]), edges, BH_COUNT_OF(pages), 1);
    assert_true(bh_str_equal(rest, BH_STR("two\nbody b")));
}

static void two_pages_prove_nothing(void **state)
{
    (void)state;
    const struct bh_str text = BH_STR("Same line\nbody\n");
    const struct tome_head_edges edges[] = { tome_head_edges(text, 1), tome_head_edges(text, 2) };
    const struct bh_str rest = tome_head_strip(text, edges, 2, 0);
    assert_true(bh_str_equal(rest, text));
}

static void odd_pages_do_no_harm(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "", "\n\n\n", "1", "mmmm", "9999999999999999999999 9", "one"
    };
    struct tome_head_edges edges[BH_COUNT_OF(odd)];
    for (size_t i = 0; i < BH_COUNT_OF(odd); i++)
        edges[i] = tome_head_edges(bh_str_from(odd[i]), (uint32_t)i + 1);
    for (size_t i = 0; i < BH_COUNT_OF(odd); i++)
        (void)tome_head_strip(bh_str_from(odd[i]), edges, BH_COUNT_OF(odd), i);
    char *const longest = malloc(100001);
    memset(longest, '7', 100000);
    longest[100000] = '\0';
    const struct tome_head_edges edge = tome_head_edges(bh_str_from(longest), 1);
    assert_true(edge.top[0].literal == 0);
    free(longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_and_page_numbers_are_dropped),
        cmocka_unit_test(text_that_differs_stays),
        cmocka_unit_test(nothing_outside_of_the_page_number_is_text),
        cmocka_unit_test(two_pages_prove_nothing),
        cmocka_unit_test(odd_pages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
