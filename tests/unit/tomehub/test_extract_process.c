/* This program is also the extractor it starts: with a file name such as "spin" it misbehaves as an
 * extractor might that a hostile file has taken over, else it is the real one. */
#include "cmocka_setup.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extract/extract_process.h"
#include "extract/extractor.h"

#define WAIT_MS 10000

/* --- the misbehaving extractor ---------------------------------------------------------------- */

static void hang(void)
{
    for (;;)
        pause();
}

static int misbehave(const char *const how)
{
    struct tome_frame_writer writer;
    (void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    tome_frame_writer_init(&writer, STDOUT_FILENO, 1 << 20);
    if (strcmp(how, "hang") == 0) {
        tome_frame_write_progress(&writer, 1);
        hang();
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "garbage") == 0) {
        (void)!write(STDOUT_FILENO, "these are no frames", 19);
        hang();
    } else if (strcmp(how, "end-and-hang") == 0) {
        tome_frame_write_end(&writer);
        (void)!tome_frame_writer_flush(&writer);
        hang();
    } else if (strcmp(how, "close-and-hang") == 0) {
        close(STDOUT_FILENO);
        hang();
    } else if (strcmp(how, "leave-a-child") == 0) {
        tome_frame_write_end(&writer);
        (void)!tome_frame_writer_flush(&writer);
        if (fork() == 0)
            hang();
        hang();
    } else if (strcmp(how, "no-sandbox") == 0) {
        return TOME_EXTRACT_EXIT_SANDBOX;
    }
    return 0; /* "silence": no END */
}

static bool misbehaves(const char *const name)
{
    static const char *const ways[] = { "hang",         "abort",          "garbage",
                                        "end-and-hang", "close-and-hang", "leave-a-child",
                                        "no-sandbox",   "silence" };
    for (size_t i = 0; i < BH_COUNT_OF(ways); i++) {
        if (strcmp(name, ways[i]) == 0)
            return true;
    }
    return false;
}

static int extractor(const int argc, char **const argv)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--name") == 0 && misbehaves(argv[i + 1]))
            return misbehave(argv[i + 1]);
    }
    return tome_extract_main(argc, argv);
}

/* --- helpers ---------------------------------------------------------------------------------- */

static unsigned count_descriptors(void)
{
    DIR *const folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    unsigned count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int file_with(const char *const text, const size_t size)
{
    FILE *const file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fflush(file);
    const int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

struct outcome {
    int result;
    enum tome_extract_failure failure;
    unsigned pages;
    struct bh_error error;
};

static struct outcome drain(struct tome_extract *const extract)
{
    struct outcome outcome = { 0 };
    struct tome_frame frame;
    while ((outcome.result = tome_extract_next(extract, &frame, &outcome.error)) == 1)
        outcome.pages += frame.type == TOME_FRAME_PAGE;
    outcome.failure = tome_extract_failure(extract);
    /* The last result stays. */
    assert_int_equal(tome_extract_next(extract, &frame, NULL), outcome.result);
    return outcome;
}

/* Runs one extraction; whatever happens nothing is left behind. */
static struct outcome run(const int fd, struct tome_extract_options options)
{
    const unsigned before = count_descriptors();
    struct tome_extract *extract;
    struct bh_error error;
    if (options.deadline_us == 0)
        options.deadline_us = bh_time_now_us() + 60 * BH_SECOND_US;
    assert_int_equal(tome_extract_start(fd, &options, &extract, &error), 0);
    const struct outcome outcome = drain(extract);
    tome_extract_destroy(extract);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    return outcome;
}

static struct outcome run_text(const char *const text, const char *const name)
{
    const int fd = file_with(text, strlen(text));
    const struct tome_extract_options options = { .file_name = bh_str_from(name) };
    const struct outcome outcome = run(fd, options);
    close(fd);
    return outcome;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_file_is_read(void **state)
{
    (void)state;
    const struct outcome outcome = run_text("Some text.\fAnd more.", "book.txt");
    assert_int_equal(outcome.result, 0);
    assert_int_equal(outcome.failure, TOME_FAILURE_NONE);
    assert_int_equal(outcome.pages, 2);
}

static void failures_name_cause_and_cure(void **state)
{
    (void)state;
    struct outcome outcome = run_text("", "book.txt");
    assert_int_equal(outcome.failure, TOME_FAILURE_EMPTY);
    assert_int_equal(outcome.result, BH_EINVAL);
    assert_string_equal(outcome.error.message, tome_extract_failure_text(TOME_FAILURE_EMPTY));
    outcome = run_text("%PDF-1.4 and nothing else", "book.txt");
    assert_int_equal(outcome.failure, TOME_FAILURE_DAMAGED);
    outcome = run_text("{\\rtf1}", "book.txt");
    assert_int_equal(outcome.failure, TOME_FAILURE_UNSUPPORTED);
}

static void limits_hold(void **state)
{
    (void)state;
    const size_t size = (size_t)4 << 20;
    char *const text = malloc(size);
    memset(text, 'x', size);
    const int fd = file_with(text, size);
    free(text);
    const struct outcome outcome = run(
        fd,
        (struct tome_extract_options){ .source = TOME_SOURCE_TEXT, .text_limit_bytes = 1 << 20 });
    assert_int_equal(outcome.failure, TOME_FAILURE_TOO_LARGE);
    assert_int_equal(outcome.result, BH_ELIMIT);
    close(fd);
}

static void what_an_extractor_may_do_is_survived(void **state)
{
    (void)state;
    assert_int_equal(run_text("x", "abort").failure, TOME_FAILURE_DAMAGED);
    assert_int_equal(run_text("x", "garbage").failure, TOME_FAILURE_DAMAGED);
    assert_int_equal(run_text("x", "silence").failure, TOME_FAILURE_INTERNAL);
    assert_int_equal(run_text("x", "no-sandbox").failure, TOME_FAILURE_INTERNAL);
    assert_int_equal(run_text("x", "end-and-hang").result, 0);
    assert_int_equal(run_text("x", "close-and-hang").failure, TOME_FAILURE_DAMAGED);
    assert_int_equal(run_text("x", "leave-a-child").result, 0);
}

static void the_deadline_ends_it(void **state)
{
    (void)state;
    const int fd = file_with("x", 1);
    const uint64_t start = bh_time_now_us();
    const struct outcome outcome = run(
        fd, (struct tome_extract_options){ .file_name = BH_STR("hang"),
                                           .deadline_us = start + 100 * BH_MS_US });
    assert_int_equal(outcome.failure, TOME_FAILURE_TIMED_OUT);
    assert_int_equal(outcome.result, BH_ETIMEDOUT);
    assert_true(bh_time_now_us() - start >= 100 * BH_MS_US);
    close(fd);
}

static void *cancel(void *const argument)
{
    tome_extract_cancel(argument);
    return NULL;
}

static void another_thread_can_cancel(void **state)
{
    (void)state;
    const int fd = file_with("x", 1);
    const struct tome_extract_options options = { .file_name = BH_STR("hang") };
    struct tome_extract *extract;
    struct tome_frame frame;
    assert_int_equal(tome_extract_start(fd, &options, &extract, NULL), 0);
    assert_int_equal(tome_extract_next(extract, &frame, NULL), 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel, extract), 0);
    const struct outcome outcome = drain(extract);
    assert_int_equal(outcome.failure, TOME_FAILURE_CANCELED);
    assert_int_equal(outcome.result, BH_ECANCELED);
    assert_int_equal(tome_extract_pid(extract), 0);
    pthread_join(thread, NULL);
    tome_extract_destroy(extract);
    close(fd);
}

static void a_kill_from_outside_is_not_the_files_fault(void **state)
{
    (void)state;
    const int fd = file_with("x", 1);
    const struct tome_extract_options options = { .file_name = BH_STR("hang") };
    struct tome_extract *extract;
    struct tome_frame frame;
    assert_int_equal(tome_extract_start(fd, &options, &extract, NULL), 0);
    assert_int_equal(tome_extract_next(extract, &frame, NULL), 1);
    assert_int_equal(kill(tome_extract_pid(extract), SIGKILL), 0);
    const struct outcome outcome = drain(extract);
    assert_int_equal(outcome.failure, TOME_FAILURE_INTERRUPTED);
    assert_true(tome_extract_failure_is_temporary(outcome.failure));
    tome_extract_destroy(extract);
    close(fd);
}

static void destroy_ends_it_at_any_moment(void **state)
{
    (void)state;
    const int fd = file_with("x", 1);
    const unsigned before = count_descriptors();
    for (unsigned i = 0; i < 20; i++) {
        const struct tome_extract_options options = { .file_name = BH_STR("hang") };
        struct tome_extract *extract;
        assert_int_equal(tome_extract_start(fd, &options, &extract, NULL), 0);
        tome_extract_destroy(extract);
    }
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    tome_extract_destroy(NULL);
    close(fd);
}

/* The server is killed in mid-extraction: its extractor must not live on. */
static void it_dies_with_its_server(void **state)
{
    (void)state;
    static const char *const ways[] = { "hang", "book.txt" };
    for (size_t i = 0; i < BH_COUNT_OF(ways); i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t server = fork();
        if (server == 0) {
            const size_t size = (size_t)32 << 20;
            char *const text = malloc(size);
            memset(text, 'x', size);
            const int fd = file_with(text, size);
            const struct tome_extract_options options = { .file_name = bh_str_from(ways[i]) };
            struct tome_extract *extract;
            struct tome_frame frame;
            if (tome_extract_start(fd, &options, &extract, NULL) != 0 ||
                tome_extract_next(extract, &frame, NULL) != 1)
                _exit(1);
            const int pid = tome_extract_pid(extract);
            (void)!write(ends[1], &pid, sizeof(pid));
            hang();
        }
        int pid;
        assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
        const int process = pidfd_open(pid, 0);
        assert_true(process >= 0);
        assert_int_equal(kill(server, SIGKILL), 0);
        struct pollfd ended = { .fd = process, .events = POLLIN };
        assert_int_equal(poll(&ended, 1, WAIT_MS), 1);
        assert_int_equal(waitpid(server, NULL, 0), server);
        close(process);
        close(ends[0]);
        close(ends[1]);
    }
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    const int fd = file_with("x", 1);
    const unsigned before = count_descriptors();
    const struct tome_extract_options options = { .executable = "/nonexistent/tomehub" };
    struct tome_extract *extract = NULL;
    struct bh_error error;
    assert_int_equal(tome_extract_start(fd, &options, &extract, &error), BH_ENOTFOUND);
    assert_null(extract);
    assert_int_equal(tome_extract_start(-1, &options, &extract, &error), BH_EIO);
    assert_int_equal(count_descriptors(), before);
    close(fd);
}

int main(const int argc, char **const argv)
{
    if (argc > 1 && strcmp(argv[1], "extract") == 0)
        return extractor(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(failures_name_cause_and_cure),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(what_an_extractor_may_do_is_survived),
        cmocka_unit_test(the_deadline_ends_it),
        cmocka_unit_test(another_thread_can_cancel),
        cmocka_unit_test(a_kill_from_outside_is_not_the_files_fault),
        cmocka_unit_test(destroy_ends_it_at_any_moment),
        cmocka_unit_test(it_dies_with_its_server),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
