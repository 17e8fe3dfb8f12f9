#include "cmocka_setup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "bulkhead/runtime/supervisor.h"

/* A worker ends by itself after so long; a supervisor that does not end it says so only then. */
#define SLEEP "exec sleep 20\n"
#define SHORT_US (100 * BH_MS_US)
#define LONG_US (60 * BH_SECOND_US)

/* A supervisor of shell scripts, in a process of its own. */
struct supervised {
    char script[64];
    uint64_t start_timeout_us, leave_timeout_us;
    pid_t pid;
    int log_fd; /* ends with it */
    char log[8192];
};

static void run(const struct supervised *const self, const int log_fd)
{
    const struct bh_supervisor_options options = {
        .program = "/bin/sh",
        .command = self->script,
        .control_path = "/proc/none", /* signals alone reach it */
        .settings = { .host = "127.0.0.1",
                      .start_timeout_us = self->start_timeout_us,
                      .leave_timeout_us = self->leave_timeout_us,
                      .restart_limit = 1 },
    };
    struct bh_error error;
    int status = 0;
    bh_log_setup(BH_LOG_INFO, BH_LOG_TEXT, log_fd);
    const int result = bh_supervisor_run(&options, &status, &error);
    bh_log_flush();
    _exit(result == 0 ? status : 99);
}

static void start(struct supervised *const self, const char *const script)
{
    snprintf(self->script, sizeof(self->script), "/tmp/bh-supervisor-XXXXXX");
    const int fd = mkstemp(self->script);
    const ssize_t size = (ssize_t)strlen(script);
    assert_int_equal(write(fd, script, strlen(script)), size);
    close(fd);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    self->pid = fork();
    assert_true(self->pid >= 0);
    if (self->pid == 0)
        run(self, ends[1]);
    close(ends[1]);
    self->log_fd = ends[0];
}

/* Reads the log until it holds `text`; NULL: to its end. */
static void read_log(struct supervised *const self, const char *const text)
{
    size_t size = strlen(self->log);
    ssize_t more = 1;
    while (!(text && strstr(self->log, text)) && more > 0) {
        more = read(self->log_fd, self->log + size, sizeof(self->log) - 1 - size);
        size += more > 0 ? (size_t)more : 0;
    }
    if (text)
        assert_non_null(strstr(self->log, text));
}

/* Waits for its end; returns the status it ended with. */
static int end_of(struct supervised *const self)
{
    int status = 0;
    read_log(self, NULL);
    close(self->log_fd);
    assert_int_equal(waitpid(self->pid, &status, 0), self->pid);
    unlink(self->script);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_a_worker_that_never_serves_is_killed(void **const state)
{
    struct supervised supervised = { .start_timeout_us = SHORT_US, .leave_timeout_us = LONG_US };
    (void)state;
    start(&supervised, SLEEP);
    assert_int_equal(end_of(&supervised), 128 + SIGKILL);
    assert_non_null(strstr(supervised.log, "did not start in time: killing it"));
}

static void test_a_worker_that_does_not_leave_is_killed(void **const state)
{
    struct supervised supervised = { .start_timeout_us = LONG_US, .leave_timeout_us = SHORT_US };
    (void)state;
    start(&supervised, "printf R >&4\n" SLEEP);
    read_log(&supervised, " serves, ");
    assert_int_equal(kill(supervised.pid, SIGTERM), 0);
    assert_int_equal(end_of(&supervised), 128 + SIGKILL);
    assert_non_null(strstr(supervised.log, "did not end in time: killing it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_that_never_serves_is_killed),
        cmocka_unit_test(test_a_worker_that_does_not_leave_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
