/* Runs a test's body in a fiber of a loop of its own and ends the loop after it. */
#pragma once

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"

struct in_fiber {
    struct bh_loop *loop;
    bh_fiber_function *body;
    void *argument;
};

static inline void in_fiber_main(void *const argument)
{
    const struct in_fiber *const test = argument;
    test->body(test->argument);
    bh_loop_stop(test->loop);
}

static inline void in_fiber_start(uv_idle_t *const handle)
{
    uv_idle_stop(handle);
    const struct in_fiber *const test = handle->data;
    const int result = bh_fiber_spawn(test->loop, in_fiber_main, handle->data);
    bh_assert(result == 0);
    uv_close((uv_handle_t *)handle, NULL);
}

static inline void in_fiber_run(bh_fiber_function *const body, void *const argument)
{
    struct in_fiber test = { .body = body, .argument = argument };
    const int result = bh_loop_create(NULL, &test.loop);
    bh_assert(result == 0);
    uv_idle_t start;
    uv_idle_init(bh_loop_uv(test.loop), &start);
    start.data = &test;
    uv_idle_start(&start, in_fiber_start);
    bh_loop_run(test.loop);
    bh_loop_destroy(test.loop);
}
