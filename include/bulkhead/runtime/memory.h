/*
 * The memory monitor of a serving process: reads what is used of what bounds it every few seconds,
 * more often the less is left, and at once when the kernel tells of pressure; moves the ladder
 * (memory_ladder.h); and, as the ladder's last steps, has heavy work refused and the worker
 * replaced.
 *
 * Everything runs on one thread of its own, so that neither reading /proc nor giving memory back
 * holds up a loop.
 */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/overload/memory_ladder.h"
#include "bulkhead/runtime/health.h"

struct bh_memory; /* opaque */

struct bh_memory_options {
    unsigned warning_percent, critical_percent;
    uint64_t interval_us;         /* between readings at the most */
    uint64_t restart_delay_us;    /* of critical memory, until the worker is replaced */
    uint64_t restart_interval_us; /* the least age of a worker that is replaced for this */
    uint64_t limit_bytes;         /* of resident memory; 0: what the system says */
    const char *root;             /* "": see memory_probe.h */
};

/* BH_EINVAL: warning is not below critical. BH_EUNAVAILABLE: memory cannot be read. */
int bh_memory_create(const struct bh_memory_options *options, struct bh_memory **ret_memory,
                     struct bh_error *reterr) BH_MUST_CHECK;
/* Ends the thread. Nothing is undone. NULL is fine. */
void bh_memory_destroy(struct bh_memory *memory);

/* A step of the service's own; those of a level come before the built-in ones: "heap" (warning),
 * "heavy work" and "worker" (critical). Called on the monitor's thread. Before the start. */
void bh_memory_add(struct bh_memory *memory, const struct bh_memory_action *action);

int bh_memory_start(struct bh_memory *memory, struct bh_error *reterr) BH_MUST_CHECK;

/* Whether new heavy work is to be refused. Any thread, a few nanoseconds. */
bool bh_memory_is_critical(const struct bh_memory *memory);

/* 503 with Retry-After, for that work. */
int bh_memory_refuse(struct bh_request *request);

/* Bodies of GET /api/health/memory and /api/health/restart. */
int bh_memory_respond(struct bh_request *request, struct bh_memory *memory);
int bh_memory_restart_respond(struct bh_request *request, struct bh_memory *memory);

/* The check "memory": degraded at warning; failing, and the process not ready, while heavy work is
 * refused. */
void bh_memory_add_check(struct bh_memory *memory, struct bh_health *health);
