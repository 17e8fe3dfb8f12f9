/* Checks of the machine: disk space and memory. Reading /proc and cgroup files does not block. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bulkhead/runtime/health.h"

#define DISK_FAILING_BYTES (UINT64_C(64) << 20)
#define DISK_DEGRADED_PERCENT 5
#define MEMORY_DEGRADED_PERCENT 85
#define MIB (1024.0 * 1024.0)

static enum bh_health_status check_disk_space(void *const argument, struct bh_json *const figures)
{
    const char *const path = argument;
    struct statvfs volume;
    if (statvfs(path, &volume) != 0) {
        bh_json_kv_string(figures, "error", bh_str_from(strerrordesc_np(errno)));
        return BH_HEALTH_FAILING;
    }
    const uint64_t free_bytes = (uint64_t)volume.f_bavail * volume.f_frsize;
    const uint64_t total_bytes = (uint64_t)volume.f_blocks * volume.f_frsize;
    bh_json_kv_int(figures, "free_mb", (int64_t)((double)free_bytes / MIB));
    bh_json_kv_int(figures, "total_mb", (int64_t)((double)total_bytes / MIB));
    if (free_bytes < DISK_FAILING_BYTES)
        return BH_HEALTH_FAILING;
    return free_bytes < total_bytes / 100 * DISK_DEGRADED_PERCENT ? BH_HEALTH_DEGRADED
                                                                  : BH_HEALTH_OK;
}

/* The number in a one-line file, or 0 when there is none ("max", no such file). */
static uint64_t read_number(const char *const path)
{
    char line[64];
    FILE *const file = fopen(path, "re");
    if (!file)
        return 0;
    const char *const got = fgets(line, sizeof(line), file);
    fclose(file);
    return got ? strtoull(line, NULL, 10) : 0;
}

static uint64_t resident_bytes(void)
{
    char line[128];
    FILE *const file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    const char *const got = fgets(line, sizeof(line), file);
    fclose(file);
    const char *const second = got ? strchr(line, ' ') : NULL; /* the first is the address space */
    return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static enum bh_health_status check_memory(void *const argument, struct bh_json *const figures)
{
    (void)argument;
    const uint64_t resident = resident_bytes();
    const uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
    if (limit == 0)
        limit = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    const bool bounded = limit > 0 && limit < machine;
    if (!bounded)
        limit = machine;
    const double percent = 100.0 * (double)resident / (double)limit;
    bh_json_key(figures, BH_STR("process_rss_mb"));
    bh_json_fixed(figures, (double)resident / MIB, 1);
    bh_json_key(figures, BH_STR("limit_mb"));
    bh_json_fixed(figures, (double)limit / MIB, 0);
    bh_json_kv_string(figures, "limit_source", bounded ? BH_STR("cgroup") : BH_STR("machine"));
    bh_json_key(figures, BH_STR("process_percent"));
    bh_json_fixed(figures, percent, 1);
    return percent > MEMORY_DEGRADED_PERCENT ? BH_HEALTH_DEGRADED : BH_HEALTH_OK;
}

void bh_health_add_disk_space(struct bh_health *const health, const char *const path)
{
    /* The check takes a mutable argument; it only reads the path. */
    bh_health_add(health, "disk_space", false, check_disk_space, (void *)(uintptr_t)path);
}

void bh_health_add_memory(struct bh_health *const health)
{
    bh_health_add(health, "memory", false, check_memory, NULL);
}
