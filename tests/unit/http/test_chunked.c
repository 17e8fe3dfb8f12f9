#include "cmocka_setup.h"

#include "bulkhead/base/buf.h"
#include "http/chunked.h"

struct decoded {
    enum bh_chunked_result result;
    char body[512];
    size_t size;
    size_t rest; /* bytes behind the end */
};

static void feed(struct bh_chunked *const chunked, struct decoded *const decoded,
                 struct bh_str input)
{
    for (;;) {
        struct bh_str data;
        decoded->result = bh_chunked_next(chunked, &input, &data);
        decoded->rest = input.size;
        if (decoded->result != BH_CHUNKED_DATA)
            return;
        assert_true(data.size > 0 && decoded->size + data.size <= sizeof(decoded->body));
        memcpy(decoded->body + decoded->size, data.data, data.size);
        decoded->size += data.size;
    }
}

/* Whole, and cut at every byte: all must agree. */
static struct decoded decode(const char *const text)
{
    const size_t size = strlen(text);
    struct bh_chunked chunked = { 0 };
    struct decoded whole = { 0 };
    feed(&chunked, &whole, (struct bh_str){ text, size });
    for (size_t cut = 0; cut <= size; cut++) {
        struct bh_chunked again = { 0 };
        struct decoded cut_up = { 0 };
        feed(&again, &cut_up, (struct bh_str){ text, cut });
        if (cut_up.result == BH_CHUNKED_MORE)
            feed(&again, &cut_up, (struct bh_str){ text + cut, size - cut });
        assert_int_equal(cut_up.result, whole.result);
        assert_int_equal(cut_up.size, whole.size);
        assert_memory_equal(cut_up.body, whole.body, whole.size);
    }
    return whole;
}

static void assert_body(const char *const text, const char *const body, const size_t rest)
{
    const struct decoded decoded = decode(text);
    assert_int_equal(decoded.result, BH_CHUNKED_END);
    assert_int_equal(decoded.size, strlen(body));
    assert_memory_equal(decoded.body, body, decoded.size);
    assert_int_equal(decoded.rest, rest);
}

static void test_bodies_are_put_together(void **const state)
{
    (void)state;
    assert_body("0\r\n\r\n", "", 0);
    assert_body("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
    assert_body("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", "hello world", 5);
    assert_body("00000a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0);
    assert_body("A;name=value;b=\"c d\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", 0);
    assert_body("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n", 0);
    assert_body("1\r\na\r\n0\r\nX-Sum: 5\r\nY:\r\n\r\n", "a", 0);
}

static void test_malformed_bodies_are_refused(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1 ;a\r\na\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\r\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1;a\nb\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "1;a\x01\r\na\r\n",
        "1000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\nX: \x01\r\n\r\n",
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        const struct decoded decoded = decode(texts[i]);
        if (decoded.result != BH_CHUNKED_REFUSED)
            print_error("taken: case %zu\n", i);
        assert_int_equal(decoded.result, BH_CHUNKED_REFUSED);
    }
}

static void test_a_refusal_tells_why_and_stays(void **const state)
{
    (void)state;
    struct bh_chunked chunked = { 0 };
    struct bh_str input = BH_STR("zz");
    struct bh_str data;
    assert_int_equal(bh_chunked_next(&chunked, &input, &data), BH_CHUNKED_REFUSED);
    assert_non_null(chunked.reason);
    input = BH_STR("0\r\n\r\n");
    assert_int_equal(bh_chunked_next(&chunked, &input, &data), BH_CHUNKED_REFUSED);
}

static void test_the_largest_size_is_taken_without_overflow(void **const state)
{
    (void)state;
    struct bh_chunked chunked = { 0 };
    struct bh_str input = BH_STR("fffffffffffffff\r\nabc");
    struct bh_str data;
    assert_int_equal(bh_chunked_next(&chunked, &input, &data), BH_CHUNKED_DATA);
    assert_int_equal(data.size, 3);
    assert_int_equal(bh_chunked_next(&chunked, &input, &data), BH_CHUNKED_MORE);
}

/* Feeds `before`, then `filler` until refused; returns how many bytes of it were taken. */
static size_t bytes_until_refused(const struct bh_str before, const char filler,
                                  const size_t maximum)
{
    struct bh_chunked chunked = { 0 };
    struct bh_str data;
    struct bh_str input = before;
    assert_int_equal(bh_chunked_next(&chunked, &input, &data), BH_CHUNKED_MORE);
    for (size_t count = 0; count < maximum; count++) {
        input = (struct bh_str){ &filler, 1 };
        if (bh_chunked_next(&chunked, &input, &data) == BH_CHUNKED_REFUSED)
            return count;
    }
    return maximum;
}

static void test_extensions_and_trailers_are_bounded(void **const state)
{
    (void)state;
    assert_int_equal(bytes_until_refused(BH_STR("1;"), 'a', 100000), BH_CHUNKED_EXTENSION_MAX);
    assert_int_equal(bytes_until_refused(BH_STR("0\r\n"), 'a', 100000), BH_CHUNKED_TRAILERS_MAX);
    assert_int_equal(bytes_until_refused(BH_STR("0\r\na:"), 'a', 100000),
                     BH_CHUNKED_TRAILERS_MAX - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_are_put_together),
        cmocka_unit_test(test_malformed_bodies_are_refused),
        cmocka_unit_test(test_a_refusal_tells_why_and_stays),
        cmocka_unit_test(test_the_largest_size_is_taken_without_overflow),
        cmocka_unit_test(test_extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
