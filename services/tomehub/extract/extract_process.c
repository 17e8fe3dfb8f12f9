#include "extract/extract_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/base/assert.h"
#include "extract/extractor.h"

#define EXTRACT_MAGIC 0x45585452u
#define TEXT_LIMIT_BYTES (UINT64_C(1) << 30)
#define MEMORY_LIMIT_BYTES (UINT64_C(1) << 30)
#define CPU_LIMIT_S 120u
#define NAME_BYTES_MAX 256u
#define PATH_BYTES_MAX 4096u
#define ARGUMENT_COUNT 12
#define ENDING_MS 2000

struct tome_extract {
    BH_MAGIC_FIELD;
    pid_t pid;  /* also its process group; 0: reaped */
    int output; /* its frames */
    int wake;   /* eventfd: canceled */
    uint64_t deadline_us;
    int result; /* final result of next(), once `done` */
    bool done;
    enum tome_extract_failure failure;
    atomic_bool canceled;
    struct tome_frame_reader *reader;
};

/* --- starting --------------------------------------------------------------------------------- */

struct arguments {
    char text_limit[24];
    char memory_limit[24];
    char cpu_limit[16];
    char name[NAME_BYTES_MAX];
    const char *list[ARGUMENT_COUNT + 1];
};

static void fill_arguments(struct arguments *const arguments,
                           const struct tome_extract_options *const options)
{
    const uint64_t text = options->text_limit_bytes ? options->text_limit_bytes : TEXT_LIMIT_BYTES;
    const uint64_t memory = options->memory_limit_bytes ? options->memory_limit_bytes
                                                        : MEMORY_LIMIT_BYTES;
    const unsigned cpu_s = options->cpu_limit_s ? options->cpu_limit_s : CPU_LIMIT_S;
    snprintf(arguments->text_limit, sizeof(arguments->text_limit), "%llu",
             (unsigned long long)text);
    snprintf(arguments->memory_limit, sizeof(arguments->memory_limit), "%llu",
             (unsigned long long)memory);
    snprintf(arguments->cpu_limit, sizeof(arguments->cpu_limit), "%u", cpu_s);
    /* The end of the name, where the extension is; a NUL cannot be passed on. */
    struct bh_str name = options->file_name;
    if (name.size >= NAME_BYTES_MAX) {
        name.data += name.size - (NAME_BYTES_MAX - 1);
        name.size = NAME_BYTES_MAX - 1;
    }
    snprintf(arguments->name, sizeof(arguments->name), "%.*s", BH_STR_ARGS(name));
    const char *const list[ARGUMENT_COUNT] = {
        "tomehub",        "extract",
        "--kind",         tome_source_name(options->source),
        "--name",         arguments->name,
        "--text-limit",   arguments->text_limit,
        "--memory-limit", arguments->memory_limit,
        "--cpu-limit",    arguments->cpu_limit,
    };
    memcpy(arguments->list, list, sizeof(list));
    arguments->list[ARGUMENT_COUNT] = NULL;
}

/* Standard input and error are empty: what a hostile file makes libraries say is not logged. */
static int plan_descriptors(posix_spawn_file_actions_t *const actions, const int file,
                            const int output)
{
    int error = posix_spawn_file_actions_adddup2(actions, file, TOME_EXTRACT_FD);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, TOME_EXTRACT_FD + 1);
    return error;
}

static int plan_attributes(posix_spawnattr_t *const attributes)
{
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    int error = posix_spawnattr_setpgroup(attributes, 0);
    if (!error)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error)
        error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETSIGMASK);
    return error;
}

/* The extractor beside this program, or else this program, which can do the same but takes twice as
 * long to start. A program that was replaced while it runs starts itself: what stands beside it now
 * is of another version. */
static const char *find_executable(char *const path, const size_t capacity)
{
    static const char name[] = "tomehub-extract", self[] = "/proc/self/exe";
    const ssize_t size = readlink(self, path, capacity);
    struct bh_str own = { .data = path, .size = size > 0 ? (size_t)size : 0 };
    if (own.size == capacity || bh_str_ends_with(own, BH_STR(" (deleted)")))
        return self;
    while (own.size > 0 && own.data[own.size - 1] != '/')
        own.size--;
    if (own.size == 0 || own.size + sizeof(name) > capacity)
        return self;
    memcpy(path + own.size, name, sizeof(name));
    return access(path, X_OK) == 0 ? path : self;
}

/* 0 or an errno value. */
static int spawn(const int file, const int output, const struct tome_extract_options *const options,
                 pid_t *const ret_pid)
{
    static char locale[] = "LC_ALL=C.UTF-8";
    char *const environment[] = { locale, NULL };
    char found[PATH_BYTES_MAX];
    const char *const path = options->executable ? options->executable
                                                 : find_executable(found, sizeof(found));
    struct arguments arguments;
    fill_arguments(&arguments, options);
    /* posix_spawn() changes nothing of what it takes as char *const[]. */
    char *const *const list = (char *const *)(uintptr_t)arguments.list;

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = plan_descriptors(&actions, file, output);
    if (!error)
        error = plan_attributes(&attributes);
    if (!error)
        error = posix_spawn(ret_pid, path, &actions, &attributes, list, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* dup2() onto itself would keep close-on-exec, so neither end may be one of the child's numbers. */
static int above_standard(const int fd)
{
    if (fd > TOME_EXTRACT_FD)
        return fd;
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, TOME_EXTRACT_FD + 1);
    close(fd);
    return moved;
}

static int start(struct tome_extract *const extract, const int file,
                 const struct tome_extract_options *const options, struct bh_error *const reterr)
{
    int ends[2];
    extract->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (extract->wake < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return bh_error_errno(reterr, errno, "cannot open a pipe for the extractor");
    extract->output = ends[0];
    const int input = above_standard(ends[1]);
    const int own_file = fcntl(file, F_DUPFD_CLOEXEC, TOME_EXTRACT_FD + 1);
    int error = input < 0 || own_file < 0 ? errno : 0;
    if (!error)
        error = spawn(own_file, input, options, &extract->pid);
    if (input >= 0)
        close(input);
    if (own_file >= 0)
        close(own_file);
    if (error)
        return bh_error_errno(reterr, error, "cannot start the extractor");
    return 0;
}

int tome_extract_start(const int file, const struct tome_extract_options *const options,
                       struct tome_extract **const ret_extract, struct bh_error *const reterr)
{
    struct tome_extract *const extract = calloc(1, sizeof(*extract));
    if (!extract)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory for the extractor");
    extract->magic = EXTRACT_MAGIC;
    extract->output = -1;
    extract->wake = -1;
    extract->deadline_us = options->deadline_us ? options->deadline_us : BH_NEVER_US;
    const uint64_t limit = options->text_limit_bytes ? options->text_limit_bytes : TEXT_LIMIT_BYTES;
    int error = tome_frame_reader_create(limit, &extract->reader);
    if (!error)
        error = start(extract, file, options, reterr);
    else
        bh_error_set(reterr, error, "out of memory for the extractor");
    if (error) {
        tome_extract_destroy(extract);
        return error;
    }
    *ret_extract = extract;
    return 0;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* Kills the group and reaps what of it is ours: the child, and what it left behind if that came to
 * us (a server that is process 1 of a container). Returns the child's wait status. */
static int end_process(struct tome_extract *const extract)
{
    int child_status = 0;
    bool reaped = false;
    if (extract->pid == 0)
        return 0;
    kill(-extract->pid, SIGKILL);
    for (;;) {
        int status;
        const pid_t ended = waitpid(-extract->pid, &status, 0);
        if (ended == extract->pid) {
            child_status = status;
            reaped = true;
        }
        if (ended < 0 && errno != EINTR)
            break;
    }
    /* Killed by somebody before it had made its group, it is in ours. */
    while (!reaped && waitpid(extract->pid, &child_status, 0) < 0 && errno == EINTR)
        continue;
    extract->pid = 0;
    return child_status;
}

void tome_extract_destroy(struct tome_extract *const extract)
{
    if (!extract)
        return;
    (void)end_process(extract);
    if (extract->output >= 0)
        close(extract->output);
    if (extract->wake >= 0)
        close(extract->wake);
    tome_frame_reader_destroy(extract->reader);
    extract->magic = 0;
    free(extract);
}

void tome_extract_cancel(struct tome_extract *const extract)
{
    bh_magic_check(extract, EXTRACT_MAGIC);
    atomic_store(&extract->canceled, true);
    const uint64_t one = 1;
    (void)!write(extract->wake, &one, sizeof(one));
}

enum tome_extract_failure tome_extract_failure(const struct tome_extract *const extract)
{
    return extract->failure;
}

int tome_extract_pid(const struct tome_extract *const extract)
{
    return extract->pid;
}

static int fail(struct tome_extract *const extract, const enum tome_extract_failure failure,
                const struct bh_str message, struct bh_error *const reterr)
{
    (void)end_process(extract);
    extract->done = true;
    extract->failure = failure;
    extract->result = tome_extract_failure_code(failure);
    const struct bh_str text = message.size > 0 ? message
                                                : bh_str_from(tome_extract_failure_text(failure));
    return bh_error_set(reterr, extract->result, "%.*s", BH_STR_ARGS(text));
}

/* Its output is closed, so it is about to end by itself, unless it has been taken over. */
static bool ends_soon(const struct tome_extract *const extract)
{
    const int process = pidfd_open(extract->pid, 0);
    struct pollfd wanted = { .fd = process, .events = POLLIN };
    const bool ended = process >= 0 && poll(&wanted, 1, ENDING_MS) == 1;
    if (process >= 0)
        close(process);
    return ended;
}

/* The stream ended without END: the exit tells why. */
static int fail_by_exit(struct tome_extract *const extract, struct bh_error *const reterr)
{
    if (!ends_soon(extract))
        return fail(extract, TOME_FAILURE_DAMAGED, BH_STR_NONE, reterr);
    const int status = end_process(extract);
    if (WIFEXITED(status)) {
        if (WEXITSTATUS(status) == TOME_EXTRACT_EXIT_SANDBOX)
            return fail(extract, TOME_FAILURE_INTERNAL,
                        BH_STR("The sandbox for reading files cannot be set up on this system "
                               "(seccomp is needed); no file is read without it."),
                        reterr);
        return fail(extract, TOME_FAILURE_INTERNAL, BH_STR_NONE, reterr);
    }
    switch (WTERMSIG(status)) {
    case SIGKILL:
    case SIGTERM:
        return fail(extract, TOME_FAILURE_INTERRUPTED, BH_STR_NONE, reterr);
    case SIGXCPU:
        return fail(extract, TOME_FAILURE_TIMED_OUT, BH_STR_NONE, reterr);
    default: /* a crash: the file is malformed in a way no one has thought of */
        return fail(extract, TOME_FAILURE_DAMAGED, BH_STR_NONE, reterr);
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static int timeout_ms(const struct tome_extract *const extract)
{
    if (extract->deadline_us == BH_NEVER_US)
        return -1;
    const uint64_t now = bh_time_now_us();
    if (now >= extract->deadline_us)
        return 0;
    const uint64_t left_ms = (extract->deadline_us - now) / BH_MS_US + 1;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* Waits for bytes and takes them in. 1: some came. 0: the stream has ended. Negative: failed. */
static int receive(struct tome_extract *const extract, struct bh_error *const reterr)
{
    for (;;) {
        struct pollfd wanted[] = { { .fd = extract->output, .events = POLLIN },
                                   { .fd = extract->wake, .events = POLLIN } };
        const int timeout = timeout_ms(extract);
        const int ready = poll(wanted, BH_COUNT_OF(wanted), timeout);
        if (atomic_load(&extract->canceled))
            return fail(extract, TOME_FAILURE_CANCELED, BH_STR_NONE, reterr);
        if (ready == 0 || timeout == 0)
            return fail(extract, TOME_FAILURE_TIMED_OUT, BH_STR_NONE, reterr);
        if (ready < 0)
            continue;
        size_t room;
        char *const to = tome_frame_reader_space(extract->reader, &room);
        const ssize_t count = read(extract->output, to, room);
        if (count > 0) {
            tome_frame_reader_commit(extract->reader, (size_t)count);
            return 1;
        }
        if (count == 0)
            return 0;
        if (errno != EINTR && errno != EAGAIN)
            return fail(extract, TOME_FAILURE_INTERNAL, BH_STR_NONE, reterr);
    }
}

static int finish(struct tome_extract *const extract, const struct tome_frame *const frame,
                  struct bh_error *const reterr)
{
    if (frame->type == TOME_FRAME_ERROR)
        return fail(extract, frame->error.code, frame->error.message, reterr);
    /* END is the proof that the file was read to its end; how the process exits adds nothing. */
    (void)end_process(extract);
    extract->done = true;
    extract->result = 0;
    return 0;
}

int tome_extract_next(struct tome_extract *const extract, struct tome_frame *const ret_frame,
                      struct bh_error *const reterr)
{
    bh_magic_check(extract, EXTRACT_MAGIC);
    if (extract->done) {
        if (extract->failure != TOME_FAILURE_NONE)
            bh_error_set(reterr, extract->result, "%s",
                         tome_extract_failure_text(extract->failure));
        return extract->result;
    }
    for (;;) {
        struct bh_error detail;
        struct tome_frame frame;
        const int result = tome_frame_reader_next(extract->reader, &frame, &detail);
        if (result < 0)
            return fail(extract,
                        result == BH_ELIMIT ? TOME_FAILURE_TOO_LARGE : TOME_FAILURE_DAMAGED,
                        bh_str_from(detail.message), reterr);
        if (result == 1) {
            if (frame.type == TOME_FRAME_END || frame.type == TOME_FRAME_ERROR)
                return finish(extract, &frame, reterr);
            *ret_frame = frame;
            return 1;
        }
        const int received = receive(extract, reterr);
        if (received < 0)
            return received;
        if (received == 0)
            return fail_by_exit(extract, reterr);
    }
}
