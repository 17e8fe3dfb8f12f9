#include "extract/pdf_programs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extract/sandbox.h"

#define EXIT_NOT_STARTED 127
#define FIRST_FREE_FD (TOME_PROGRAM_FILE_FD + 1)

/* In the child: never returns. */
static void become(const char *const *const arguments, const int file, const int output,
                   const int errors, const pid_t parent)
{
    static char locale[] = "LC_ALL=C.UTF-8";
    static char empty[] = "";
    char *const environment[] = { locale, NULL };
    /* execveat() changes nothing of what it takes as char *const[]. */
    char *const *const list = (char *const *)(uintptr_t)arguments;

    (void)!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(EXIT_NOT_STARTED);
    const int opened = open(arguments[0], O_RDONLY | O_CLOEXEC);
    const int program = fcntl(opened, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (program < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0 ||
        dup2(file, TOME_PROGRAM_FILE_FD) < 0 || lseek(TOME_PROGRAM_FILE_FD, 0, SEEK_SET) != 0)
        _exit(EXIT_NOT_STARTED);
    if (tome_sandbox_seal(TOME_SANDBOX_PROGRAM, program, NULL) == 0)
        execveat(program, empty, list, environment, AT_EMPTY_PATH);
    _exit(EXIT_NOT_STARTED);
}

int tome_program_start(const char *const *const arguments, const int file,
                       struct tome_program *const ret_program, struct bh_error *const reterr)
{
    const char *const path = arguments[0];
    int output[2];
    int errors[2];
    if (access(path, X_OK) != 0)
        return bh_error_set(reterr, BH_EUNAVAILABLE,
                            "%s is not installed; PDF files need the package poppler-utils.", path);
    if (pipe2(output, O_CLOEXEC) != 0)
        return bh_error_errno(reterr, errno, "cannot open a pipe for %s", path);
    if (pipe2(errors, O_CLOEXEC) != 0) {
        close(output[0]);
        close(output[1]);
        return bh_error_errno(reterr, errno, "cannot open a pipe for %s", path);
    }
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0)
        become(arguments, file, output[1], errors[1], parent);
    close(output[1]);
    close(errors[1]);
    if (pid < 0) {
        close(output[0]);
        close(errors[0]);
        return bh_error_errno(reterr, errno, "cannot start %s", path);
    }
    *ret_program = (struct tome_program){ .pid = pid, .output = output[0], .errors = errors[0] };
    return 0;
}

static void shut(int *const fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static ssize_t read_some(const int fd, char *const data, const size_t size)
{
    ssize_t count;
    do {
        count = read(fd, data, size);
    } while (count < 0 && errno == EINTR);
    return count;
}

/* Keeps the first bytes and throws the rest away, so that the program never waits for us. */
static void take_complaint(struct tome_program *const program)
{
    char rest[512];
    const size_t room = sizeof(program->complaint) - program->complaint_size;
    char *const to = room > 0 ? program->complaint + program->complaint_size : rest;
    const ssize_t count = read_some(program->errors, to, room > 0 ? room : sizeof(rest));
    if (count <= 0)
        shut(&program->errors);
    else if (room > 0)
        program->complaint_size += (size_t)count;
}

static int read_output(struct tome_input *const input, char *const data, const size_t size,
                       size_t *const ret_size)
{
    struct tome_program *const program = input->context;
    while (program->pid != 0 && program->output >= 0) {
        struct pollfd wanted[] = { { .fd = program->output, .events = POLLIN },
                                   { .fd = program->errors, .events = POLLIN } };
        if (poll(wanted, BH_COUNT_OF(wanted), -1) < 0 && errno != EINTR)
            return BH_EIO;
        if (wanted[1].revents != 0)
            take_complaint(program);
        if (wanted[0].revents == 0)
            continue;
        const ssize_t count = read_some(program->output, data, size);
        if (count < 0)
            return BH_EIO;
        if (count > 0) {
            *ret_size = (size_t)count;
            return 0;
        }
        shut(&program->output);
    }
    while (program->pid != 0 && program->errors >= 0)
        take_complaint(program);
    *ret_size = 0;
    return 0;
}

void tome_program_output(struct tome_program *const program, struct tome_input *const ret_input)
{
    *ret_input = (struct tome_input){ .read = read_output, .context = program };
}

int tome_program_wait(struct tome_program *const program)
{
    if (program->pid == 0)
        return -1;
    shut(&program->output);
    shut(&program->errors);
    int status = -1;
    while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
        ;
    program->pid = 0;
    return status;
}

bool tome_program_complains(const struct tome_program *const program, const char *const text)
{
    return memmem(program->complaint, program->complaint_size, text, strlen(text)) != NULL;
}
