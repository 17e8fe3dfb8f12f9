/* Whether a broken contract stops the process: `action` runs in a child and must end by SIGABRT. */
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool aborts(void (*const action)(void *argument), void *const argument)
{
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = { .rlim_cur = 0 };
        setrlimit(RLIMIT_CORE, &none);
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        action(argument);
        _exit(0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}
