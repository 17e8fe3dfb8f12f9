/*
 * Starting threads that take no signals: those belong to the main thread and the first loop.
 */
#pragma once

#include <pthread.h>

#include "bulkhead/base/error.h"

/* Starts `function(argument)` on a new thread with every signal blocked, so that no handler runs on
 * it and no system call of it is interrupted. BH_ENOMEM: no thread to be had. Any thread. */
int bh_thread_start(void *(*function)(void *argument), void *argument,
                    pthread_t *ret_thread) BH_MUST_CHECK;

/* The calling thread, and the processes it starts from now on, give way to others that want the
 * processor: they get a tenth of what the others get, and all that these leave. For good, since
 * going back takes privileges: for threads that do nothing else. Linux: nice is a thread's own. */
void bh_thread_stand_back(void);
