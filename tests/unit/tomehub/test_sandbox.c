/* Each attempt runs in a child of its own that enters the sandbox first; how it ends is the result.
 * What the sandbox is for cannot be tested without really trying. */
#include "cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "extract/sandbox.h"

#define EXIT_DONE 0    /* the attempt went through */
#define EXIT_REFUSED 1 /* it failed with EPERM or EACCES */
#define EXIT_OTHER 2   /* it failed otherwise */
#define EXIT_NO_SANDBOX 3

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

static int verdict(const long result)
{
    if (result >= 0)
        return EXIT_DONE;
    return errno == EPERM || errno == EACCES ? EXIT_REFUSED : EXIT_OTHER;
}

static int wait_for(const pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Runs the attempt inside; returns its exit code, or minus the signal that ended it. */
static int inside(int (*const attempt)(void))
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct tome_sandbox_limits limits = { .memory_bytes = (uint64_t)256 << 20,
                                                    .cpu_s = 1 };
        if (tome_sandbox_enter(&limits, NULL) != 0 ||
            tome_sandbox_seal(TOME_SANDBOX_PARSER, -1, NULL) != 0)
            _exit(EXIT_NO_SANDBOX);
        _exit(attempt());
    }
    return wait_for(pid);
}

/* --- attempts --------------------------------------------------------------------------------- */

static int open_for_reading(void)
{
    return verdict(open("/etc/passwd", O_RDONLY));
}

static int open_for_writing(void)
{
    return verdict(open("/tmp/out-of-the-sandbox", O_WRONLY | O_CREAT, 0600));
}

static int make_socket(void)
{
    return verdict(socket(AF_INET, SOCK_STREAM, 0));
}

static int make_local_socket(void)
{
    int pair[2];
    return verdict(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

static int start_process(void)
{
    return verdict(fork());
}

static int run_program(void)
{
    char *const arguments[] = { (char[]){ "true" }, NULL };
    return verdict(execv("/bin/true", arguments));
}

static int kill_parent(void)
{
    return verdict(kill(getppid(), 0));
}

static int trace(void)
{
    return verdict(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int read_other_memory(void)
{
    return verdict(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int make_code(void)
{
    void *const memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return verdict(memory == MAP_FAILED ? -1 : 0);
}

static int make_memory_code(void)
{
    void *const memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                              0);
    return verdict(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int make_namespace(void)
{
    return verdict(unshare(CLONE_NEWUSER));
}

static int raise_limit(void)
{
    const struct rlimit more = { .rlim_cur = 100, .rlim_max = 100 };
    return verdict(setrlimit(RLIMIT_CPU, &more));
}

static int work(void)
{
    /* What a parser needs: memory, descriptors that are open, the clock. */
    char *const memory = malloc((size_t)8 << 20);
    if (!memory)
        return EXIT_OTHER;
    memset(memory, 1, (size_t)8 << 20);
    free(memory);
    char byte;
    if (lseek(STDIN_FILENO, 0, SEEK_CUR) == -1 && errno == EPERM)
        return EXIT_REFUSED;
    if (read(STDIN_FILENO, &byte, 0) < 0)
        return EXIT_OTHER;
    struct timespec now;
    return verdict(clock_gettime(CLOCK_MONOTONIC, &now));
}

static int eat_memory(void)
{
    for (unsigned i = 0; i < 1024; i++) {
        char *const memory = malloc((size_t)1 << 20);
        if (!memory)
            return EXIT_OTHER;
        memset(memory, 1, (size_t)1 << 20);
    }
    return EXIT_DONE;
}

static int spin(void)
{
    volatile bool forever = true;
    while (forever)
        ;
    return EXIT_DONE;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void work_goes_on_inside(void **state)
{
    (void)state;
    assert_int_equal(inside(work), EXIT_DONE);
}

static void nothing_outside_is_reached(void **state)
{
    (void)state;
    assert_int_equal(inside(open_for_reading), EXIT_REFUSED);
    assert_int_equal(inside(open_for_writing), EXIT_REFUSED);
    assert_int_equal(inside(make_socket), EXIT_REFUSED);
    assert_int_equal(inside(make_local_socket), EXIT_REFUSED);
    assert_int_equal(inside(kill_parent), EXIT_REFUSED);
    assert_int_equal(inside(make_namespace), EXIT_REFUSED);
    assert_int_equal(inside(raise_limit), EXIT_REFUSED);
}

static void nothing_is_started(void **state)
{
    (void)state;
    assert_int_equal(inside(start_process), EXIT_REFUSED);
    assert_int_equal(inside(run_program), EXIT_REFUSED);
    assert_int_equal(inside(make_code), EXIT_REFUSED);
    assert_int_equal(inside(make_memory_code), EXIT_REFUSED);
}

static void attacks_on_processes_are_deadly(void **state)
{
    (void)state;
    assert_int_equal(inside(trace), -SIGSYS);
    assert_int_equal(inside(read_other_memory), -SIGSYS);
}

static void time_and_memory_are_limited(void **state)
{
    (void)state;
    assert_int_equal(inside(spin), -SIGXCPU);
    if (SANITIZED)
        return; /* there is no limit of memory then */
    assert_int_equal(inside(eat_memory), EXIT_OTHER);
}

/* A program runs in its own sandbox, and nothing but that one. */
static int become(const char *const path, const char *const other)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *const arguments[] = { (char[]){ "cat" }, (char[]){ "/etc/passwd" }, NULL };
        char *const environment[] = { NULL };
        const struct tome_sandbox_limits limits = { .memory_bytes = (uint64_t)256 << 20,
                                                    .cpu_s = 1 };
        const int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        const int program = open(path, O_RDONLY | O_CLOEXEC);
        if (tome_sandbox_enter(&limits, NULL) != 0 ||
            tome_sandbox_seal(TOME_SANDBOX_PROGRAM, program, NULL) != 0)
            _exit(EXIT_NO_SANDBOX);
        if (other) {
            execve(other, arguments, environment);
            _exit(verdict(-1) + 10);
        }
        syscall(SYS_execveat, program, "", arguments, environment, AT_EMPTY_PATH);
        _exit(verdict(-1) + 10);
    }
    return wait_for(pid);
}

static void only_the_given_program_runs_and_it_reads_no_files(void **state)
{
    (void)state;
    /* `true` starts, with all its libraries. */
    assert_int_equal(become("/bin/true", NULL), 0);
    assert_int_equal(become("/bin/true", "/bin/cat"), EXIT_REFUSED + 10);
    /* `cat /etc/passwd` starts and fails, where the kernel has Landlock. */
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0)
        assert_int_equal(become("/bin/cat", NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_goes_on_inside),
        cmocka_unit_test(nothing_outside_is_reached),
        cmocka_unit_test(nothing_is_started),
        cmocka_unit_test(attacks_on_processes_are_deadly),
        cmocka_unit_test(time_and_memory_are_limited),
        cmocka_unit_test(only_the_given_program_runs_and_it_reads_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
