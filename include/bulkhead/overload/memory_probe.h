/*
 * What bounds this process' memory, and how much of it is used: the tightest of its cgroups (v2
 * memory.max and memory.high, or v1 memory.limit_in_bytes, each with its ancestors) and of a limit
 * given at creation; where there is none, the machine.
 *
 * Used is what the kernel cannot drop: a cgroup's usage without its file pages, the machine's total
 * without what is available. Files are read anew each time, because limits change and a process can
 * be moved. Nothing here waits; not from several threads at a time.
 */
#pragma once

#include "bulkhead/base/error.h"

struct bh_memory_probe; /* opaque */

struct bh_memory_probe_options {
    const char *root;     /* stands before /proc and /sys; "" but in tests; copied */
    uint64_t limit_bytes; /* of this process' resident memory; 0: none */
};

struct bh_memory_figures {
    uint64_t process_bytes; /* resident */
    uint64_t machine_total_bytes, machine_available_bytes;
    uint64_t limit_bytes, used_bytes; /* of what bounds it */
    const char *limit_source; /* "cgroup2 memory.max", "cgroup2 memory.high", "cgroup1", "setting",
                                 "machine": literals */
    double pressure_some_avg10; /* percent of the last ten seconds; 0 where it is not told */
};

/* used_bytes as a percentage of limit_bytes. */
double bh_memory_percent(const struct bh_memory_figures *figures);

int bh_memory_probe_create(const struct bh_memory_probe_options *options,
                           struct bh_memory_probe **ret_probe) BH_MUST_CHECK;
void bh_memory_probe_destroy(struct bh_memory_probe *probe);

/* BH_EUNAVAILABLE: not even the machine's figures can be read. */
int bh_memory_probe_read(struct bh_memory_probe *probe, struct bh_memory_figures *ret_figures,
                         struct bh_error *reterr) BH_MUST_CHECK;

/* A descriptor on which POLLPRI tells that tasks stood still for memory 150 ms within 2 s (and
 * POLLERR that it will tell no more), or -1 where the kernel has or permits none. The caller closes
 * it. */
int bh_memory_probe_open_pressure(struct bh_memory_probe *probe);
