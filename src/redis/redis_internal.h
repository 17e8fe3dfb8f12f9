/* What all connections of one client share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/base/list.h"
#include "bulkhead/redis/gate.h"
#include "bulkhead/redis/redis.h"
#include "bulkhead/tls/tls.h"
#include "redis/redis_metrics.h"
#include "redis/redis_url.h"

struct bh_redis {
    uint32_t magic;
    uint64_t id; /* never given twice: threads remember by it */
    struct bh_redis_address address;
    struct bh_tls *tls; /* NULL: plain */
    uint64_t connect_timeout_us;
    uint64_t command_timeout_us;
    unsigned pending_maximum;
    const struct bh_redis_gate *gate; /* NULL: none */
    struct bh_redis_metrics metrics;
    atomic_uint down; /* connections that are: the first and the last are logged */
    struct {
        pthread_mutex_t mutex;
        struct bh_list list; /* shards, one a loop */
    } shared;
};
