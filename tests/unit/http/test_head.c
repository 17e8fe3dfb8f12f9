#include "cmocka_setup.h"

#include <stdlib.h>

#include "http/head.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static const struct bh_head_limits limits = { .bytes_maximum = 4096,
                                              .target_maximum = 1024,
                                              .fields_maximum = 8 };

/* Parses in one go and then cut at every byte; all must agree. The bytes stand in memory of their
 * exact size, so that a sanitizer sees any read past them. */
static struct bh_head parse_bytes(const char *const text, const size_t size)
{
    char *const data = malloc(size + 1);
    assert_non_null(data);
    memcpy(data, text, size);
    struct bh_head whole;
    bh_head_init(&whole);
    const enum bh_head_result result = bh_head_parse(&whole, &limits, data, size);
    assert_int_not_equal(result, BH_HEAD_MORE);
    for (size_t cut = 0; cut < size; cut++) {
        struct bh_head head;
        bh_head_init(&head);
        char *const first = malloc(cut + 1);
        assert_non_null(first);
        memcpy(first, text, cut);
        enum bh_head_result cut_result = bh_head_parse(&head, &limits, first, cut);
        free(first);
        if (cut_result == BH_HEAD_MORE)
            cut_result = bh_head_parse(&head, &limits, data, size);
        assert_int_equal(cut_result, result);
        assert_int_equal(head.refusal, whole.refusal);
        if (result == BH_HEAD_DONE)
            assert_int_equal(head.size, whole.size);
    }
    free(data);
    return whole;
}

static struct bh_head parse(const char *const text)
{
    return parse_bytes(text, strlen(text));
}

static void assert_text(const struct bh_str text, const char *const expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void test_a_plain_request_is_taken(void **const state)
{
    (void)state;
    const char *const text = "GET /a/b?c=d HTTP/1.1\r\nHost: example.org:80\r\n"
                             "X-Empty:\r\nX-Blanks: \t v w \t\r\n\r\nrest";
    const struct bh_head head = parse(text);
    assert_int_equal(head.refusal, BH_HEAD_ACCEPTED);
    assert_int_equal(head.size, strlen(text) - 4);
    assert_int_equal(head.method_id, BH_METHOD_GET);
    assert_text(bh_head_slice_str(head.method, text), "GET");
    assert_text(bh_head_path(&head, text), "/a/b");
    assert_text(bh_head_slice_str(head.query, text), "c=d");
    assert_text(bh_head_field(&head, text, BH_STR("host")), "example.org:80");
    assert_text(bh_head_field(&head, text, BH_STR("X-EMPTY")), "");
    assert_text(bh_head_field(&head, text, BH_STR("x-blanks")), "v w");
    assert_null(bh_head_field(&head, text, BH_STR("absent")).data);
    assert_int_equal(head.content_length, -1);
    assert_false(head.is_chunked);
    assert_true(head.keep_alive);
    assert_int_equal(head.minor_version, 1);
}

struct refusal_case {
    const char *text;
    enum bh_head_refusal refusal;
};

static const struct refusal_case refusal_cases[] = {
    /* framing */
    { GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BH_HEAD_LENGTH_AND_CODING },
    { GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BH_HEAD_LENGTH_AND_CODING },
    { GET "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", BH_HEAD_LENGTH_REPEATED },
    { GET "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", BH_HEAD_LENGTH_REPEATED },
    { GET "Content-Length: 5, 5\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Content-Length: +5\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Content-Length: -5\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Content-Length: 0x5\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Content-Length: 5 5\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Content-Length: 5.0\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Content-Length:\r\n\r\n", BH_HEAD_LENGTH_INVALID },
    { GET "Transfer-Encoding: gzip\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: identity\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: xchunked\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: chunked;q=1\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: \"chunked\"\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: chunked, chunked\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: chunked, gzip\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding:\r\n\r\n", BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      BH_HEAD_CODING_INVALID },
    { GET "Transfer-Encoding: gzip, chunked\r\n\r\n", BH_HEAD_CODING_UNKNOWN },
    { "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", BH_HEAD_CODING_INVALID },
    /* lines */
    { "GET / HTTP/1.1\nHost: a\n\n", BH_HEAD_BARE_LF },
    { "GET / HTTP/1.1\r\nHost: a\n\r\n", BH_HEAD_BARE_LF },
    { "GET / HTTP/1.1\r\nHost: a\r\n\n", BH_HEAD_BARE_LF },
    { "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_BARE_LF },
    { GET "X-A:\rzContent-Length: 5\r\n\r\n", BH_HEAD_BARE_CR },
    { GET "X-A: b\rContent-Length: 5\r\n\r\n", BH_HEAD_BARE_CR },
    { GET "X-A: b\r\r\n\r\n", BH_HEAD_BARE_CR },
    { GET "\rX-A: b\r\n\r\n", BH_HEAD_BARE_CR },
    { GET "X\r-A: b\r\n\r\n", BH_HEAD_BARE_CR },
    { "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_BARE_CR },
    { "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BH_HEAD_BARE_CR },
    { "GET / HTTP/1.1\rHost: a\r\r", BH_HEAD_BARE_CR },
    { GET "X-A: b\r\n folded\r\n\r\n", BH_HEAD_OBS_FOLD },
    { GET "X-A: b\r\n\tfolded\r\n\r\n", BH_HEAD_OBS_FOLD },
    { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", BH_HEAD_OBS_FOLD },
    { GET "X-A : b\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET "X-A\t: b\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET "X A: b\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET ": b\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET "X-A\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET "X(A): b\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET "X\x80: b\r\n\r\n", BH_HEAD_FIELD_NAME },
    { GET "X-A: b\x01\r\n\r\n", BH_HEAD_CONTROL },
    { GET "X-A: b\x7F\r\n\r\n", BH_HEAD_CONTROL },
    { "GET /\x0B HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_CONTROL },
    /* Host */
    { "GET / HTTP/1.1\r\nX-A: b\r\n\r\n", BH_HEAD_HOST_MISSING },
    { GET "Host: a\r\n\r\n", BH_HEAD_HOST_REPEATED },
    { GET "host: b\r\n\r\n", BH_HEAD_HOST_REPEATED },
    { "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", BH_HEAD_HOST_REPEATED },
    { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BH_HEAD_HOST_INVALID },
    { "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BH_HEAD_HOST_INVALID },
    { "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BH_HEAD_HOST_INVALID },
    { "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", BH_HEAD_HOST_INVALID },
    { "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BH_HEAD_HOST_INVALID },
    /* request line */
    { "GET /\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET / HTTP/1.1x\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET / http/1.1\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET / HTTP/11\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET / HTTP/1,1\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "GET / HTTP/a.1\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_REQUEST_LINE },
    { " GET / HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_METHOD },
    { "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_METHOD },
    { "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_METHOD },
    { "\x16\x03\x01\x02", BH_HEAD_METHOD },
    { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", BH_HEAD_VERSION },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BH_HEAD_VERSION },
    { "GET / HTTP/0.9\r\nHost: a\r\n\r\n", BH_HEAD_VERSION },
    /* targets */
    { "GET a HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "GET * HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_METHOD_UNKNOWN },
    { "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    { "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", BH_HEAD_TARGET },
    /* the rest */
    { GET "Expect: 200-ok\r\n\r\n", BH_HEAD_EXPECTATION },
    { GET "a: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\ng: 1\r\nh: 1\r\n\r\n",
      BH_HEAD_TOO_MANY_FIELDS },
};

static void test_what_two_parsers_could_read_in_two_ways_is_refused(void **const state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT_OF(refusal_cases); i++) {
        const struct bh_head head = parse(refusal_cases[i].text);
        if (head.refusal != refusal_cases[i].refusal)
            print_error("case %zu: %s\nwant %s, got %s\n", i, refusal_cases[i].text,
                        bh_head_refusal_label(refusal_cases[i].refusal),
                        bh_head_refusal_label(head.refusal));
        assert_int_equal(head.refusal, refusal_cases[i].refusal);
        assert_in_range(bh_head_refusal_status(head.refusal), 400, 505);
        assert_true(strlen(bh_head_refusal_text(head.refusal)) > 0);
    }
}

static void test_nul_is_refused_wherever_it_stands(void **const state)
{
    (void)state;
    const char good[] = GET "X-A: bc\r\n\r\n";
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        char text[sizeof(good) - 1];
        memcpy(text, good, sizeof(text));
        text[i] = '\0';
        struct bh_head head;
        bh_head_init(&head);
        assert_int_not_equal(bh_head_parse(&head, &limits, text, sizeof(text)), BH_HEAD_DONE);
    }
}

static void test_one_changed_byte_never_moves_the_end_past_the_bytes(void **const state)
{
    (void)state;
    const char good[] = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[sizeof(good) - 1];
            memcpy(text, good, sizeof(text));
            text[i] = (char)byte;
            struct bh_head head;
            bh_head_init(&head);
            if (bh_head_parse(&head, &limits, text, sizeof(text)) == BH_HEAD_DONE)
                assert_true(head.size <= sizeof(text) &&
                            memcmp(text + head.size - 4, "\r\n\r\n", 4) == 0);
        }
    }
}

static void test_targets_in_absolute_form_bring_their_host(void **const state)
{
    (void)state;
    const char *text = "GET http://Other.org:8080/x?y HTTP/1.1\r\nHost: a\r\n\r\n";
    struct bh_head head = parse(text);
    assert_int_equal(head.refusal, BH_HEAD_ACCEPTED);
    assert_text(bh_head_path(&head, text), "/x");
    assert_text(bh_head_slice_str(head.query, text), "y");
    assert_text(bh_head_field(&head, text, BH_STR("Host")), "Other.org:8080");

    text = "GET HTTPS://a?y HTTP/1.1\r\nHost: a\r\n\r\n";
    head = parse(text);
    assert_text(bh_head_path(&head, text), "/");
    assert_text(bh_head_slice_str(head.query, text), "y");

    text = "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n";
    head = parse(text);
    assert_text(bh_head_path(&head, text), "*");

    text = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    head = parse(text);
    assert_true(head.is_asterisk);
    assert_text(bh_head_path(&head, text), "*");
}

static void test_content_length_saturates(void **const state)
{
    (void)state;
    assert_int_equal(parse(GET "Content-Length: 9223372036854775807\r\n\r\n").content_length,
                     INT64_MAX);
    assert_int_equal(parse(GET "Content-Length: 9223372036854775808\r\n\r\n").content_length,
                     INT64_MAX);
    assert_int_equal(
        parse(GET "Content-Length: 99999999999999999999999999999999999\r\n\r\n").content_length,
        INT64_MAX);
    assert_int_equal(parse(GET "Content-Length: 0005\r\n\r\n").content_length, 5);
    assert_int_equal(parse(GET "Content-Length: 0\r\n\r\n").content_length, 0);
}

static void test_versions_and_connection_decide_keep_alive(void **const state)
{
    (void)state;
    assert_true(parse(GET "\r\n").keep_alive);
    assert_false(parse(GET "Connection: close\r\n\r\n").keep_alive);
    assert_false(parse(GET "Connection: x, CLOSE\r\n\r\n").keep_alive);
    assert_false(parse(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n").keep_alive);
    assert_false(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n").minor_version, 0);
    assert_int_equal(parse("GET / HTTP/1.7\r\nHost: a\r\n\r\n").minor_version, 1);
    assert_true(parse(GET "Expect: 100-Continue\r\n\r\n").expect_continue);
    assert_false(parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expect_continue);
}

static void test_what_is_unusual_but_clear_is_taken(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:5001\r\n\r\n",
        "PURGE /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?q=\"a|b\"[c] HTTP/1.1\r\nHost: a\r\n\r\n",
        GET "Transfer-Encoding: Chunked\r\n\r\n",
        GET "X: \xC3\xA9\r\n\r\n",
        GET "X:a:b\r\n\r\n",
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++)
        assert_int_equal(parse(texts[i]).refusal, BH_HEAD_ACCEPTED);
}

/* `count` times `filler` between `before` and `after`. */
static char *long_text(const char *const before, const char *const filler, const size_t count,
                       const char *const after)
{
    const size_t filler_size = strlen(filler);
    const size_t size = strlen(before) + filler_size * count + strlen(after) + 1;
    char *const text = malloc(size);
    assert_non_null(text);
    char *at = mempcpy(text, before, strlen(before));
    for (size_t i = 0; i < count; i++)
        at = mempcpy(at, filler, filler_size);
    memcpy(at, after, strlen(after) + 1);
    return text;
}

static void assert_refusal(char *const text, const enum bh_head_refusal refusal)
{
    assert_int_equal(parse(text).refusal, refusal);
    free(text);
}

static void test_sizes_are_limited_to_the_byte(void **const state)
{
    (void)state;
    assert_refusal(long_text("GET /", "a", 1023, " HTTP/1.1\r\nHost: a\r\n\r\n"), BH_HEAD_ACCEPTED);
    assert_refusal(long_text("GET /", "a", 1024, " HTTP/1.1\r\nHost: a\r\n\r\n"),
                   BH_HEAD_TARGET_TOO_LONG);
    assert_refusal(long_text("GET /", "a", 9000, ""), BH_HEAD_TARGET_TOO_LONG);

    const size_t fixed = strlen(GET "X: "
                                    "\r\n\r\n");
    assert_refusal(long_text(GET "X: ", "a", 4096 - fixed, "\r\n\r\n"), BH_HEAD_ACCEPTED);
    assert_refusal(long_text(GET "X: ", "a", 4097 - fixed, "\r\n\r\n"), BH_HEAD_TOO_LARGE);
    assert_refusal(long_text(GET "X: ", "a", 9000, ""), BH_HEAD_TOO_LARGE);
    assert_refusal(long_text(GET, "a: b\r\n", 7, "\r\n"), BH_HEAD_ACCEPTED);
    assert_refusal(long_text(GET, "a: b\r\n", 8, "\r\n"), BH_HEAD_TOO_MANY_FIELDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_request_is_taken),
        cmocka_unit_test(test_what_two_parsers_could_read_in_two_ways_is_refused),
        cmocka_unit_test(test_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(test_one_changed_byte_never_moves_the_end_past_the_bytes),
        cmocka_unit_test(test_targets_in_absolute_form_bring_their_host),
        cmocka_unit_test(test_content_length_saturates),
        cmocka_unit_test(test_versions_and_connection_decide_keep_alive),
        cmocka_unit_test(test_what_is_unusual_but_clear_is_taken),
        cmocka_unit_test(test_sizes_are_limited_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
