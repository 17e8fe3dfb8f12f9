/* Checks of the machine: disk space. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "bulkhead/runtime/health.h"

#define DISK_FAILING_BYTES (UINT64_C(64) << 20)
#define DISK_DEGRADED_PERCENT 5
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

void bh_health_add_disk_space(struct bh_health *const health, const char *const path)
{
    /* The check takes a mutable argument; it only reads the path. */
    bh_health_add(health, "disk_space", false, check_disk_space, (void *)(uintptr_t)path);
}
