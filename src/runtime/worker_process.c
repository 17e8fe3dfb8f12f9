#include "runtime/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/base/time.h"

#define HIGH_FD 10 /* above those the worker gets, so that placing one does not hide another */

/* 0 or an errno value. */
static int plan(posix_spawn_file_actions_t *const actions, posix_spawnattr_t *const attributes,
                const int listener_fd, const int channel_fd)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int error = posix_spawn_file_actions_adddup2(actions, listener_fd, BH_SUPERVISOR_LISTENER_FD);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, channel_fd, BH_SUPERVISOR_CHANNEL_FD);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, BH_SUPERVISOR_CHANNEL_FD + 1);
    if (!error)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error)
        error = posix_spawnattr_setflags(attributes,
                                         POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    return error;
}

/* The environment without what systemd says to the supervisor alone; NULL: out of memory. */
static char **own_environment(void)
{
    static const char *const others[] = { "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=" };
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **const variables = calloc(count + 1, sizeof(*variables));
    for (size_t i = 0; variables && i < count; i++) {
        bool is_ours = true;
        for (size_t j = 0; j < BH_COUNT_OF(others); j++)
            is_ours = is_ours && strncmp(environ[i], others[j], strlen(others[j])) != 0;
        if (is_ours)
            variables[kept++] = environ[i];
    }
    return variables;
}

static int spawn(char *const *const arguments, const int listener_fd, const int channel_fd,
                 pid_t *const ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **const variables = own_environment();
    int error = variables ? posix_spawn_file_actions_init(&actions) : ENOMEM;
    if (error) {
        free(variables);
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = plan(&actions, &attributes, listener_fd, channel_fd);
        if (!error)
            error = posix_spawn(ret_pid, arguments[0], &actions, &attributes, arguments, variables);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    free(variables);
    return error;
}

static void close_if_open(const int fd)
{
    if (fd >= 0)
        close(fd);
}

int bh_worker_spawn(struct bh_worker *const worker, char *const *const arguments,
                    const int listener_fd, struct bh_error *const reterr)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return bh_error_errno(reterr, errno, "cannot make a channel to the worker");
    const int high_listener = fcntl(listener_fd, F_DUPFD_CLOEXEC, HIGH_FD);
    const int high_channel = fcntl(ends[1], F_DUPFD_CLOEXEC, HIGH_FD);
    close(ends[1]);
    pid_t pid = 0;
    const int error = high_listener < 0 || high_channel < 0
                          ? errno
                          : spawn(arguments, high_listener, high_channel, &pid);
    close_if_open(high_listener);
    close_if_open(high_channel);
    if (error) {
        close(ends[0]);
        return bh_error_errno(reterr, error, "cannot start %s", arguments[0]);
    }
    const uint64_t now_us = bh_time_now_us();
    *worker = (struct bh_worker){ .state = BH_WORKER_STARTING,
                                  .started_us = now_us,
                                  .beat_us = now_us,
                                  .deadline_us = BH_NEVER_US,
                                  .pid = pid,
                                  .channel = ends[0] };
    return 0;
}

char bh_worker_receive(struct bh_worker *const worker)
{
    char text[BH_WORKER_TEXT_MAX];
    if (worker->channel < 0)
        return 0;
    const ssize_t size = recv(worker->channel, text, sizeof(text) - 1, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (size <= 0) {
        close(worker->channel);
        worker->channel = -1;
        return 'E';
    }
    text[size] = '\0';
    if (text[0] == 'X' || text[0] == 'F')
        memcpy(worker->reason, text + 1, (size_t)size);
    return text[0];
}

void bh_worker_tell(const struct bh_worker *const worker, const char letter)
{
    if (worker->channel >= 0)
        (void)!send(worker->channel, &letter, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void bh_worker_forget(struct bh_worker *const worker)
{
    close_if_open(worker->channel);
    *worker = (struct bh_worker){ .channel = -1 };
}
