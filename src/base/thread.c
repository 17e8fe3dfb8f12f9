/* The new thread inherits the mask that its creator has for the moment. */
#include "bulkhead/base/thread.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE_BACKGROUND 10

int bh_thread_start(void *(*const function)(void *argument), void *const argument,
                    pthread_t *const ret_thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, function, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return BH_ENOMEM;
    *ret_thread = thread;
    return 0;
}

void bh_thread_stand_back(void)
{
    const id_t thread = (id_t)gettid();
    if (getpriority(PRIO_PROCESS, thread) < NICE_BACKGROUND)
        setpriority(PRIO_PROCESS, thread, NICE_BACKGROUND);
}
