/* What a provider sends: events, sentences, and whether the library supports them. */
#include "cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

#include "answers/event_stream.h"
#include "answers/grounding.h"

/* ---- Events ---- */

/* The events' data, each followed by '|'; "!" when the stream was refused. */
static const char *events(const char *const text, const size_t piece)
{
    static char result[1000];
    struct tome_event_stream stream;
    size_t size = 0;
    tome_event_stream_init(&stream);
    for (size_t at = 0; at < strlen(text); at += piece) {
        const size_t left = strlen(text) - at;
        struct bh_str input = { text + at, left < piece ? left : piece };
        struct bh_str data;
        while (tome_event_stream_next(&stream, &input, &data) > 0) {
            if (data.size > 0)
                memcpy(result + size, data.data, data.size);
            size += data.size;
            result[size++] = '|';
        }
    }
    tome_event_stream_fini(&stream);
    result[size] = '\0';
    return result;
}

static void test_events(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "data: a\n\n", "a|" },
        { "data:a\r\n\r\ndata:  b\r\rdata: c\n\n", "a| b|c|" },
        { ": comment\nevent: x\nid: 4\ndata: a\ndata: b\n\n", "a\nb|" },
        { "\n\n\ndata\n\nother: x\n\ndata: z", "|" },
        { "datas: a\n\n data: b\n\n", "" },
        { "data: {\"a\": \"b: c\"}\n\n", "{\"a\": \"b: c\"}|" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++)
        for (size_t piece = 1; piece < 60; piece++)
            assert_string_equal(events(cases[i][0], piece), cases[i][1]);
}

static void test_events_have_a_limit(void **state)
{
    (void)state;
    static char long_text[1000];
    struct tome_event_stream stream;
    struct bh_str data;
    int result = 0;
    memset(long_text, 'x', sizeof(long_text));
    tome_event_stream_init(&stream);
    for (size_t i = 0; i <= TOME_EVENT_DATA_MAX / sizeof(long_text) && result == 0; i++) {
        struct bh_str input = { long_text, sizeof(long_text) };
        result = tome_event_stream_next(&stream, &input, &data);
    }
    assert_int_equal(result, BH_ELIMIT);
    tome_event_stream_fini(&stream);
}

/* ---- Sentences ---- */

static void test_a_sentence_has_its_citations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t partly, whole; /* where it ends, if more may come, if not */
    } cases[] = {
        { "", 0, 0 },
        { "A dog", 0, 5 },
        { "A dog.", 0, 6 },
        { "A dog. C", 6, 6 },
        { "A dog. [1", 0, 6 },
        { "A dog. [1]", 0, 10 },
        { "A dog. [1] [2, 3]", 0, 17 },
        { "A dog. [1] C", 10, 10 },
        { "A dog [1]. C", 10, 10 },
        { "A dog. [X] C", 6, 6 },
        { "Dr. B [1] c", 0, 11 },
        { "  \n", 0, 0 },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct bh_str text = bh_str_from(cases[i].text);
        assert_int_equal(tome_grounding_sentence_end(text, false), cases[i].partly);
        assert_int_equal(tome_grounding_sentence_end(text, true), cases[i].whole);
    }
}

/* ---- Support ---- */

static const struct tome_search_hit hits[] = {
    { .title = { "On Lamps", 8 },
      .content = { "A lamp burns at the end of the pier. There were 14 lamps in the town.", 69 },
      .passage.language = TOME_LANGUAGE_ENGLISH },
    { .title = { "Whales", 6 },
      .content = { "Whales sing in the deep water of the bay.", 41 },
      .passage.language = TOME_LANGUAGE_ENGLISH },
};

static void test_support(void **state)
{
    static const struct {
        const char *sentence;
        bool is_supported;
    } cases[] = {
        { "A lamp burns at the end of the pier [1].", true },
        { "At the pier's end a lamp is burning. [1]", true },
        { "There were 14 lamps [1].", true },
        { "There were 15 lamps [1].", false },
        { "A lamp burns at the end of the pier.", false },
        { "A lamp burns at the end of the pier [2].", false },
        { "A lamp burns at the end of the pier [3].", false },
        { "A lamp burns at the end of the pier [0].", false },
        { "A lamp burns at the pier and whales sing in the bay [1, 2].", true },
        { "A lamp burns at the pier and whales sing in the bay [1][2].", true },
        { "The emperor sold a golden palace at the pier [1].", false },
        { "[1]", true }, /* says nothing */
        { "A lamp burns at the pier [1][99999999999999999999].", false },
    };
    struct tome_analyzer *analyzer = NULL;
    struct bh_arena *arena = NULL;
    (void)state;
    assert_int_equal(tome_analyzer_create(&analyzer), 0);
    assert_int_equal(bh_arena_create((size_t)16 << 20, &arena), 0);
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        struct tome_grounding grounding;
        assert_int_equal(tome_grounding_check(analyzer, bh_str_from(cases[i].sentence),
                                              BH_STR("What is there at night?"), hits,
                                              BH_COUNT_OF(hits), arena, &grounding),
                         0);
        if (grounding.is_supported != cases[i].is_supported)
            fail_msg("%s", cases[i].sentence);
        assert_null(memchr(grounding.text.data, '[', grounding.text.size));
    }
    bh_arena_destroy(arena);
    tome_analyzer_destroy(analyzer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_events_have_a_limit),
        cmocka_unit_test(test_a_sentence_has_its_citations),
        cmocka_unit_test(test_support),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
