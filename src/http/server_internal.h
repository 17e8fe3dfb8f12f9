/* What server.c and server_loop.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/http/server.h"
#include "http/http_loop.h"

#define BH_HTTP_SERVER_MAGIC 0x48535256u
#define BH_HTTP_LOOPS_MAX 256

struct bh_http_server {
    BH_MAGIC_FIELD;
    struct bh_http_options options;
    const struct bh_router *router;
    void *service;
    unsigned port;
    uint64_t id_seed;             /* of request ids */
    atomic_uint connection_count; /* over all loops */
    atomic_uint loop_count;       /* of shared.loops; changed under the mutex */
    atomic_bool is_draining;
    atomic_bool is_replaced; /* set before the drain: its listener has another server */

    struct {
        pthread_mutex_t mutex;
        int listener_fd; /* -1 once the last loop has stopped listening */
        unsigned listening_count;
        struct bh_http_loop *loops[BH_HTTP_LOOPS_MAX];
    } shared;
};
