/* The new thread inherits the mask that its creator has for the moment. */
#include "bulkhead/base/thread.h"

#include <signal.h>

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
