#include "cmocka_setup.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

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

static void *stand_back(void *const argument)
{
    int *const nice = argument;
    nice[0] = getpriority(PRIO_PROCESS, (id_t)gettid());
    bh_thread_stand_back();
    nice[1] = getpriority(PRIO_PROCESS, (id_t)gettid());
    bh_thread_stand_back();
    nice[2] = getpriority(PRIO_PROCESS, (id_t)gettid());
    return NULL;
}

static void test_a_thread_stands_back_alone_and_once(void **const state)
{
    (void)state;
    const int before = getpriority(PRIO_PROCESS, (id_t)gettid());
    int nice[3];
    pthread_t thread;
    assert_int_equal(bh_thread_start(stand_back, nice, &thread), 0);
    pthread_join(thread, NULL);
    assert_int_equal(nice[0], before);
    assert_int_equal(nice[1], before > 10 ? before : 10);
    assert_int_equal(nice[2], nice[1]);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_started_thread_takes_no_signals),
        cmocka_unit_test(test_a_thread_stands_back_alone_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
