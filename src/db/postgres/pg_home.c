#include "db/postgres/pg_home.h"

#include <errno.h>
#include <semaphore.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/thread.h"

struct visit {
    struct bh_task task;
    struct bh_loop *loop;
    bh_fiber_function *function; /* NULL: the loop is to end */
    void *argument;
    int code;
    sem_t ended;
};

static void *home_main(void *const argument)
{
    pthread_setname_np(pthread_self(), "postgres");
    bh_loop_run(argument);
    return NULL;
}

static void visit_in_fiber(void *const argument)
{
    struct visit *const visit = argument;
    visit->function(visit->argument);
    sem_post(&visit->ended); /* the last touch: the visitor's stack goes */
}

static void visit_run(struct bh_task *const task)
{
    struct visit *const visit = BH_CONTAINER_OF(task, struct visit, task);
    if (!visit->function) {
        bh_loop_stop(visit->loop);
        sem_post(&visit->ended);
        return;
    }
    const int code = bh_fiber_spawn(visit->loop, visit_in_fiber, visit);
    if (code) {
        visit->code = code;
        sem_post(&visit->ended);
    }
}

static int visit_home(const struct bh_pg_home *const home, bh_fiber_function *const function,
                      void *const argument)
{
    struct visit visit = {
        .task = { .run = visit_run }, .loop = home->loop, .function = function, .argument = argument
    };
    bh_list_init(&visit.task.node);
    sem_init(&visit.ended, 0, 0);
    bh_loop_post(home->loop, &visit.task);
    while (sem_wait(&visit.ended) != 0)
        bh_assert(errno == EINTR);
    sem_destroy(&visit.ended);
    return visit.code;
}

int bh_pg_home_start(struct bh_pg_home *const home)
{
    const int code = bh_loop_create(NULL, &home->loop);
    if (code)
        return code;
    if (bh_thread_start(home_main, home->loop, &home->thread) != 0) {
        bh_loop_destroy(home->loop);
        home->loop = NULL;
        return BH_ENOMEM;
    }
    return 0;
}

void bh_pg_home_stop(struct bh_pg_home *const home)
{
    if (!home->loop)
        return;
    const int code = visit_home(home, NULL, NULL);
    bh_assert(code == 0);
    pthread_join(home->thread, NULL);
    bh_loop_destroy(home->loop);
    home->loop = NULL;
}

int bh_pg_home_run(const struct bh_pg_home *const home, bh_fiber_function *const function,
                   void *const argument)
{
    if (!bh_fiber_current())
        return visit_home(home, function, argument);
    function(argument);
    return 0;
}
