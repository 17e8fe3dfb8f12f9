/* What memory.c and memory_health.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/time.h"
#include "bulkhead/overload/memory_probe.h"
#include "bulkhead/runtime/memory.h"

#define BH_MEMORY_MAGIC 0x4d454d4fu
#define BH_MEMORY_RECENT 12 /* readings: a minute of them */
#define BH_MEMORY_MB (1024.0 * 1024.0)

struct bh_memory {
    BH_MAGIC_FIELD;
    struct bh_memory_options options;
    atomic_bool is_critical;
    atomic_bool restart_requested;

    /* The monitor's thread, once started. */
    struct bh_memory_probe *probe;
    struct bh_memory_ladder *ladder;
    uint64_t started_us;
    uint64_t first_bytes; /* of the process when it began to serve */
    bool has_told_why;
    uint64_t regular_us; /* when the next reading is due, were there plenty */
    struct {
        unsigned readings;      /* of this minute */
        size_t least_free;      /* of the heap in it */
        uint64_t settled_bytes; /* of the process after heap was last given back, or its start */
    } idle;
    pthread_t thread;
    bool has_thread;
    int stop_fd;     /* readable: end */
    int pressure_fd; /* -1: the kernel tells nothing */

    struct {
        pthread_mutex_t mutex;
        struct bh_memory_figures figures; /* of the last reading */
        enum bh_memory_level level;
        double recent[BH_MEMORY_RECENT]; /* percentages, a ring */
        uint64_t readings;
        int64_t wall_us;
    } shared;
};
