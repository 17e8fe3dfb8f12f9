#include "cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/base/json.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/metrics.h"
#include "bulkhead/base/time.h"

#define TIME_SIZE (BH_TIME_TEXT_SIZE - 1)

/* The log's other end: a pipe and what was read from it. */
struct reader {
    int ends[2];
    struct bh_buf text;
};

static void reader_init(struct reader *const reader, const enum bh_log_level level,
                        const enum bh_log_format format)
{
    assert_int_equal(pipe2(reader->ends, O_CLOEXEC), 0);
    fcntl(reader->ends[0], F_SETPIPE_SZ, 1 << 20);
    bh_buf_init(&reader->text, 64 << 20);
    bh_log_setup(level, format, reader->ends[1]);
}

/* What has been logged since the last call. */
static struct bh_str reader_take(struct reader *const reader)
{
    bh_buf_clear(&reader->text);
    struct pollfd readable = { .fd = reader->ends[0], .events = POLLIN };
    while (poll(&readable, 1, 0) == 1 && (readable.revents & POLLIN)) {
        char *const to = bh_buf_reserve(&reader->text, 65536);
        assert_non_null(to);
        const ssize_t size = read(reader->ends[0], to, 65536);
        assert_true(size > 0);
        bh_buf_advance(&reader->text, (size_t)size);
    }
    return bh_buf_peek(&reader->text);
}

static void reader_fini(struct reader *const reader)
{
    bh_log_flush();
    bh_log_setup(BH_LOG_INFO, BH_LOG_TEXT, STDERR_FILENO);
    close(reader->ends[0]);
    close(reader->ends[1]);
    bh_buf_fini(&reader->text);
}

/* One line in text form without its time. */
static void assert_line(struct bh_str *const lines, const char *const expected)
{
    struct bh_str line = bh_str_split(lines, '\n');
    assert_true(line.size > TIME_SIZE);
    assert_int_equal(line.data[TIME_SIZE - 1], 'Z');
    line.data += TIME_SIZE;
    line.size -= TIME_SIZE;
    if (!bh_str_equal(line, bh_str_from(expected)))
        fail_msg("%.*s\nis not\n%s", BH_STR_ARGS(line), expected);
}

static void test_text_lines(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_DEBUG, BH_LOG_TEXT);
    const struct bh_log_context context = { .request_id = BH_STR("7f3a"),
                                            .route = BH_STR("GET /api/books/{id}") };
    bh_log_debug("db", "opened %d connections", 4);
    bh_log_context_set(&context);
    bh_log_info("db", "pool is full, waiting");
    bh_log_context_set(NULL);
    bh_log_warning("db", "\"quotes\" and \\ stay in text");
    bh_log_error("db", "disk is full");
    struct bh_str lines = reader_take(&reader);
    assert_line(&lines, " DEBUG   db: opened 4 connections");
    assert_line(&lines, " INFO    db: [7f3a GET /api/books/{id}] pool is full, waiting");
    assert_line(&lines, " WARNING db: \"quotes\" and \\ stay in text");
    assert_line(&lines, " ERROR   db: disk is full");
    assert_int_equal(lines.size, 0);
    reader_fini(&reader);
}

static void test_levels(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_WARNING, BH_LOG_TEXT);
    assert_false(bh_log_enabled(BH_LOG_INFO));
    assert_true(bh_log_enabled(BH_LOG_WARNING));
    bh_log_debug("levels", "no");
    bh_log_info("levels", "no");
    bh_log_access(&(const struct bh_log_access){ .status = 200 });
    assert_int_equal(reader_take(&reader).size, 0);
    bh_log_warning("levels", "yes");
    bh_log_error("levels", "yes");
    assert_true(reader_take(&reader).size > 0);
    reader_fini(&reader);
}

/* Parses one JSON line and gives its tree. */
static json_t *take_json(struct bh_str *const lines)
{
    const struct bh_str line = bh_str_split(lines, '\n');
    json_t *tree = NULL;
    struct bh_error error;
    if (bh_json_parse(line, 4, &tree, &error) != 0)
        fail_msg("%s in %.*s", error.message, BH_STR_ARGS(line));
    return tree;
}

static const char *field(const json_t *const tree, const char *const name)
{
    const char *const text = json_string_value(json_object_get(tree, name));
    assert_non_null(text);
    return text;
}

static void test_json_lines(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_JSON);
    const struct bh_log_context context = { .request_id = BH_STR("id\"1"), .route = BH_STR("R") };
    bh_log_context_set(&context);
    bh_log_warning("http", "a \"quoted\" \\ \x01 line\nbreak ç \xFF");
    bh_log_context_set(NULL);
    bh_log_info("http", "plain");
    struct bh_str lines = reader_take(&reader);
    json_t *tree = take_json(&lines);
    assert_string_equal(field(tree, "level"), "warning");
    assert_string_equal(field(tree, "module"), "http");
    assert_string_equal(field(tree, "request_id"), "id\"1");
    assert_string_equal(field(tree, "route"), "R");
    assert_string_equal(field(tree, "message"), "a \"quoted\" \\ \x01 line\nbreak ç \xEF\xBF\xBD");
    assert_int_equal(strlen(field(tree, "time")), TIME_SIZE);
    json_decref(tree);
    tree = take_json(&lines);
    assert_null(json_object_get(tree, "request_id"));
    json_decref(tree);
    assert_int_equal(lines.size, 0);
    reader_fini(&reader);
}

static void test_access_lines(void **const state)
{
    (void)state;
    struct reader reader;
    const struct bh_log_access access = { .method = BH_STR("GET"),
                                          .path = BH_STR("/api/books/\x1B[2J4"),
                                          .status = 206,
                                          .duration_us = 1234,
                                          .bytes_sent = 98765,
                                          .peer = BH_STR("127.0.0.1:5") };
    const struct bh_log_context context = { .request_id = BH_STR("r9"), .route = BH_STR("R") };
    bh_log_context_set(&context);
    reader_init(&reader, BH_LOG_INFO, BH_LOG_TEXT);
    bh_log_access(&access);
    bh_log_access(&access); /* not collapsed: each is a request */
    struct bh_str lines = reader_take(&reader);
    const char *const expected = " INFO    access: 127.0.0.1:5 GET /api/books/\\u001b[2J4 206 "
                                 "1234 us 98765 bytes r9";
    assert_line(&lines, expected);
    assert_line(&lines, expected);
    reader_fini(&reader);
    reader_init(&reader, BH_LOG_INFO, BH_LOG_JSON);
    bh_log_access(&access);
    lines = reader_take(&reader);
    json_t *const tree = take_json(&lines);
    assert_string_equal(field(tree, "module"), "access");
    assert_string_equal(field(tree, "request_id"), "r9");
    assert_string_equal(field(tree, "method"), "GET");
    assert_string_equal(field(tree, "peer"), "127.0.0.1:5");
    assert_string_equal(field(tree, "path"), "/api/books/\x1B[2J4");
    assert_int_equal(json_integer_value(json_object_get(tree, "status")), 206);
    assert_int_equal(json_integer_value(json_object_get(tree, "duration_us")), 1234);
    assert_int_equal(json_integer_value(json_object_get(tree, "bytes_sent")), 98765);
    json_decref(tree);
    bh_log_context_set(NULL);
    reader_fini(&reader);
}

static void test_messages_cannot_forge_lines(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_TEXT);
    bh_log_info("forge", "%s",
                "a\r\n2026 ERROR\tx \x1B[31m \x7F \xC2\x9B \xE2\x80\xA8 \xE2\x80\xA9 \xC2\xA0"
                "\xC3");
    struct bh_str lines = reader_take(&reader);
    assert_line(&lines, " INFO    forge: a\\r\\n2026 ERROR\\tx \\u001b[31m \\u007f \\u009b \\u2028 "
                        "\\u2029 \xC2\xA0\xEF\xBF\xBD");
    assert_int_equal(lines.size, 0);
    reader_fini(&reader);
}

/* Every part as long and as full of escapes as can be: still one valid line of at most PIPE_BUF. */
static void test_longest_lines(void **const state)
{
    (void)state;
    static const char *const pieces[] = {
        "\x01", "\"", "a", "\xFF", "€", "\xC2\x85", "\U0001F600"
    };
    char *const text = malloc(100001);
    for (size_t i = 0; i < BH_COUNT_OF(pieces) * 2; i++) {
        const char *const piece = pieces[i / 2];
        size_t size = 0;
        while (size + strlen(piece) <= 100000) {
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        text[size] = '\0';
        const struct bh_str long_text = { .data = text, .size = size };
        const struct bh_log_context context = { .request_id = long_text, .route = long_text };
        struct reader reader;
        reader_init(&reader, BH_LOG_INFO, i % 2 == 0 ? BH_LOG_JSON : BH_LOG_TEXT);
        bh_log_context_set(&context);
        bh_log_info(text, "%s", text);
        bh_log_access(&(const struct bh_log_access){ .method = long_text,
                                                     .path = long_text,
                                                     .peer = long_text,
                                                     .status = INT_MAX,
                                                     .duration_us = INT64_MAX,
                                                     .bytes_sent = INT64_MAX });
        bh_log_context_set(NULL);
        struct bh_str lines = reader_take(&reader);
        for (int line = 0; line < 2; line++) {
            struct bh_str rest = lines;
            const size_t line_size = bh_str_split(&rest, '\n').size + 1;
            assert_in_range(line_size, 1000, PIPE_BUF);
            if (i % 2 == 0)
                json_decref(take_json(&lines));
            else
                (void)bh_str_split(&lines, '\n');
        }
        assert_int_equal(lines.size, 0);
        reader_fini(&reader);
    }
    free(text);
}

static void test_repeats_are_told_at_flush(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_TEXT);
    for (int i = 0; i < 42; i++)
        bh_log_warning("repeat", "the database is away");
    bh_log_error("repeat", "the database is away");
    bh_log_warning("repeat2", "the database is away");
    struct bh_str lines = reader_take(&reader);
    assert_line(&lines, " WARNING repeat: the database is away");
    assert_line(&lines, " ERROR   repeat: the database is away");
    assert_line(&lines, " WARNING repeat2: the database is away");
    assert_int_equal(lines.size, 0);
    bh_log_flush();
    lines = reader_take(&reader);
    assert_line(&lines, " WARNING repeat: the database is away (repeated 41 times)");
    assert_int_equal(lines.size, 0);
    bh_log_flush();
    assert_int_equal(reader_take(&reader).size, 0);
    bh_log_warning("repeat", "the database is away");
    bh_log_warning("repeat", "the database is away");
    bh_log_flush();
    lines = reader_take(&reader);
    assert_line(&lines, " WARNING repeat: the database is away");
    assert_line(&lines, " WARNING repeat: the database is away (repeated 1 time)");
    reader_fini(&reader);
}

/* After the window the next line of any kind tells them. */
static void test_repeats_are_told_by_a_later_line(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_JSON);
    for (int i = 0; i < 5; i++)
        bh_log_warning("later", "again");
    (void)reader_take(&reader);
    const uint64_t begin_us = bh_time_now_us();
    json_t *told = NULL;
    while (!told && bh_time_now_us() < begin_us + 20 * BH_SECOND_US) {
        bh_log_access(&(const struct bh_log_access){ .status = 200 });
        struct bh_str lines = reader_take(&reader);
        while (lines.size > 0) {
            json_t *const tree = take_json(&lines);
            if (json_object_get(tree, "repeated"))
                told = tree;
            else
                json_decref(tree);
        }
        poll(NULL, 0, 10);
    }
    assert_true(bh_time_now_us() - begin_us > BH_SECOND_US / 2);
    assert_non_null(told);
    assert_int_equal(json_integer_value(json_object_get(told, "repeated")), 4);
    assert_string_equal(field(told, "message"), "again");
    json_decref(told);
    reader_fini(&reader);
}

/* More different lines than there are slots: none is lost, whatever is collapsed. */
static void test_counts_add_up(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_JSON);
    for (int i = 0; i < 2000; i++)
        bh_log_info("many", "line %d", (i * i) % 40);
    bh_log_flush();
    struct bh_str lines = reader_take(&reader);
    json_int_t told = 0;
    int written = 0;
    while (lines.size > 0) {
        json_t *const tree = take_json(&lines);
        const json_t *const repeated = json_object_get(tree, "repeated");
        told += repeated ? json_integer_value(repeated) : 1;
        written++;
        json_decref(tree);
    }
    assert_int_equal(told, 2000);
    assert_true(written < 2000);
    reader_fini(&reader);
}

/* ---- Threads ---- */

enum { THREADS = 8, LINES = 3000 };

static void *log_much(void *const argument)
{
    const int number = *(const int *)argument;
    char id[16];
    snprintf(id, sizeof(id), "t%d", number);
    const struct bh_log_context context = { .request_id = bh_str_from(id), .route = BH_STR("R") };
    bh_log_context_set(&context);
    for (int i = 0; i < LINES; i++) {
        if (i % 3 == 0)
            bh_log_info("threads", "own line %d of %d", i, number);
        else
            bh_log_warning("threads", "shared line %d", i % 5);
    }
    return NULL;
}

static void *read_all(void *const argument)
{
    struct reader *const reader = argument;
    char *to;
    while ((to = bh_buf_reserve(&reader->text, 65536))) {
        const ssize_t size = read(reader->ends[0], to, 65536);
        if (size <= 0)
            break;
        bh_buf_advance(&reader->text, (size_t)size);
    }
    return NULL;
}

static void test_threads(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_JSON);
    pthread_t consumer;
    pthread_t producers[THREADS];
    int numbers[THREADS];
    assert_int_equal(pthread_create(&consumer, NULL, read_all, &reader), 0);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&producers[i], NULL, log_much, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(producers[i], NULL);
    bh_log_flush();
    close(reader.ends[1]);
    pthread_join(consumer, NULL);

    struct bh_str lines = bh_buf_peek(&reader.text);
    json_int_t told = 0;
    while (lines.size > 0) {
        json_t *const tree = take_json(&lines);
        const json_t *const repeated = json_object_get(tree, "repeated");
        const char *const message = field(tree, "message");
        if (!repeated && strncmp(message, "own", 3) == 0) /* "own line 5 of 3" is of t3 */
            assert_string_equal(field(tree, "request_id") + 1, strrchr(message, ' ') + 1);
        told += repeated ? json_integer_value(repeated) : 1;
        json_decref(tree);
    }
    assert_int_equal(told, THREADS * LINES);
    reader.ends[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    reader_fini(&reader);
}

/* ---- Faults ---- */

static int64_t metric_value(const char *const sample)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 20);
    bh_metrics_expose(&text, false);
    bh_buf_append_byte(&text, '\0');
    const char *const at = strstr(text.data, sample);
    assert_non_null(at);
    return strtoll(at + strlen(sample), NULL, 10);
}

static void test_lines_that_cannot_be_written(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_TEXT);
    fcntl(reader.ends[1], F_SETFL, O_NONBLOCK);
    bh_log_info("lost", "first");
    const int64_t before = metric_value("\nlog_lines_lost_total ");
    for (int i = 0; i < 20000; i++)
        bh_log_info("lost", "nobody reads this, %d %0200d", i, 0);
    const int64_t lost = metric_value("\nlog_lines_lost_total ") - before;
    assert_in_range(lost, 1, 19999);
    struct bh_str lines = reader_take(&reader);
    int64_t arrived = 0;
    for (; lines.size > 0; arrived++)
        assert_true(bh_str_split(&lines, '\n').size > 200 || arrived == 0); /* each is whole */
    assert_int_equal(arrived + lost, 20001);

    close(reader.ends[0]); /* the reader is gone */
    const struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &ignore, NULL);
    errno = ENOTSUP;
    bh_log_info("lost", "to nobody");
    bh_log_access(&(const struct bh_log_access){ .status = 200 });
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(metric_value("\nlog_lines_lost_total "), before + lost + 2);
    reader.ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    reader_fini(&reader);
}

static void test_metrics_and_errno(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_TEXT);
    bh_log_flush();
    const int64_t warnings = metric_value("\nlog_lines_total{level=\"warning\"} ");
    const int64_t collapsed = metric_value("\nlog_lines_collapsed_total ");
    errno = ENOSPC;
    for (int i = 0; i < 10; i++)
        bh_log_warning("metrics", "disk: %m");
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(metric_value("\nlog_lines_total{level=\"warning\"} "), warnings + 10);
    assert_int_equal(metric_value("\nlog_lines_collapsed_total "), collapsed + 9);
    struct bh_str lines = reader_take(&reader);
    assert_line(&lines, " WARNING metrics: disk: No space left on device");
    reader_fini(&reader);
}

static void test_auto_is_text_on_a_terminal(void **const state)
{
    (void)state;
    struct reader reader;
    reader_init(&reader, BH_LOG_INFO, BH_LOG_AUTO);
    bh_log_info("auto", "into a pipe");
    struct bh_str lines = reader_take(&reader);
    assert_int_equal(lines.data[0], '{');

    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    bh_log_setup(BH_LOG_INFO, BH_LOG_AUTO, terminal);
    bh_log_info("auto", "onto a terminal");
    char text[256];
    const ssize_t size = read(master, text, sizeof(text));
    assert_true(size > 0);
    assert_true(text[0] >= '0' && text[0] <= '9');
    reader_fini(&reader);
    close(terminal);
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_lines),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_access_lines),
        cmocka_unit_test(test_messages_cannot_forge_lines),
        cmocka_unit_test(test_longest_lines),
        cmocka_unit_test(test_repeats_are_told_at_flush),
        cmocka_unit_test(test_repeats_are_told_by_a_later_line),
        cmocka_unit_test(test_counts_add_up),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_lines_that_cannot_be_written),
        cmocka_unit_test(test_metrics_and_errno),
        cmocka_unit_test(test_auto_is_text_on_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
