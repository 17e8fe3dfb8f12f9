#include "cmocka_setup.h"

#include <pthread.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/loop.h"

#define POSTERS 4
#define POSTS 5000

struct post {
    struct bh_task task;
    unsigned poster;
    unsigned number;
};

struct posting {
    struct bh_loop *loop;
    unsigned poster;
};

static unsigned next_number[POSTERS];
static unsigned received;
static struct bh_loop *receiving;

static void receive(struct bh_task *const task)
{
    struct post *const post = BH_CONTAINER_OF(task, struct post, task);
    bh_assert(post->number == next_number[post->poster]);
    next_number[post->poster]++;
    received++;
    free(post);
    if (received == POSTERS * POSTS)
        bh_loop_stop(receiving);
}

static void *post_many(void *const argument)
{
    const struct posting *const posting = argument;
    for (unsigned number = 0; number < POSTS; number++) {
        struct post *const post = malloc(sizeof(*post));
        bh_assert(post != NULL);
        *post = (struct post){ .task = { .run = receive },
                               .poster = posting->poster,
                               .number = number };
        bh_loop_post(posting->loop, &post->task);
    }
    return NULL;
}

static void test_posts_of_each_thread_arrive_once_in_order(void **const state)
{
    (void)state;
    assert_int_equal(bh_loop_create(NULL, &receiving), 0);
    pthread_t threads[POSTERS];
    struct posting postings[POSTERS];
    for (unsigned i = 0; i < POSTERS; i++) {
        postings[i] = (struct posting){ .loop = receiving, .poster = i };
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &postings[i]), 0);
    }
    bh_loop_run(receiving);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(received, POSTERS * POSTS);
    bh_loop_destroy(receiving);
}

static void test_loop_that_never_ran_is_destroyed_whole(void **const state)
{
    (void)state;
    struct bh_loop *loop;
    assert_int_equal(bh_loop_create(NULL, &loop), 0);
    assert_null(bh_loop_current());
    bh_loop_destroy(loop);
    bh_loop_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_of_each_thread_arrive_once_in_order),
        cmocka_unit_test(test_loop_that_never_ran_is_destroyed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
