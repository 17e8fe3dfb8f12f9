#include "cmocka_setup.h"

#include <signal.h>

#include "bulkhead/base/thread.h"

static void *read_mask(void *const argument)
{
    pthread_sigmask(SIG_SETMASK, NULL, argument);
    return NULL;
}

static void test_a_started_thread_takes_no_signals(void **const state)
{
    (void)state;
    sigset_t inside, before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    pthread_t thread;
    assert_int_equal(bh_thread_start(read_mask, &inside, &thread), 0);
    pthread_join(thread, NULL);
    assert_true(sigismember(&inside, SIGTERM));
    assert_true(sigismember(&inside, SIGINT));
    assert_true(sigismember(&inside, SIGPROF));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    assert_int_equal(sigismember(&before, SIGPROF), sigismember(&after, SIGPROF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_started_thread_takes_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
