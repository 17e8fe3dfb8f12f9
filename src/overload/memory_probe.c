#include "bulkhead/overload/memory_probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "overload/memory_text.h"

#define FILE_BYTES_MAX 16384
#define ROOT_BYTES_MAX 256
#define PATH_BYTES_MAX (ROOT_BYTES_MAX + BH_MEMORY_PATH_MAX + 64)
#define TRIGGER "some 150000 2000000" /* microseconds; windows of 2 s need no privilege */

struct bh_memory_probe {
    char root[ROOT_BYTES_MAX];
    uint64_t limit_bytes;
    char text[FILE_BYTES_MAX]; /* of the file read last */
};

/* One of the two hierarchies: where it is mounted and what its files are called. */
struct hierarchy {
    unsigned version;
    const char *mount, *usage, *inactive, *active;
    struct {
        const char *file, *source;
    } limits[2];
};

static const struct hierarchy hierarchies[] = {
    { .version = 2,
      .mount = "/sys/fs/cgroup",
      .usage = "memory.current",
      .inactive = "inactive_file",
      .active = "active_file",
      .limits = { { "memory.max", "cgroup2 memory.max" },
                  { "memory.high", "cgroup2 memory.high" } } },
    { .version = 1,
      .mount = "/sys/fs/cgroup/memory",
      .usage = "memory.usage_in_bytes",
      .inactive = "total_inactive_file",
      .active = "total_active_file",
      .limits = { { "memory.limit_in_bytes", "cgroup1" } } },
};

double bh_memory_percent(const struct bh_memory_figures *const figures)
{
    return figures->limit_bytes > 0
               ? 100.0 * (double)figures->used_bytes / (double)figures->limit_bytes
               : 0;
}

int bh_memory_probe_create(const struct bh_memory_probe_options *const options,
                           struct bh_memory_probe **const ret_probe)
{
    if (strlen(options->root) >= ROOT_BYTES_MAX)
        return BH_EINVAL;
    struct bh_memory_probe *const probe = calloc(1, sizeof(*probe));
    if (!probe)
        return BH_ENOMEM;
    memcpy(probe->root, options->root, strlen(options->root));
    probe->limit_bytes = options->limit_bytes;
    *ret_probe = probe;
    return 0;
}

void bh_memory_probe_destroy(struct bh_memory_probe *const probe)
{
    free(probe);
}

/* The text of <root><folder><path>/<name>, until the next call; empty if it cannot be read. */
static struct bh_str read_file(struct bh_memory_probe *const probe, const char *const folder,
                               const char *const path, const char *const name)
{
    char whole[PATH_BYTES_MAX];
    const int size = snprintf(whole, sizeof(whole), "%s%s%s/%s", probe->root, folder, path, name);
    if (size < 0 || (size_t)size >= sizeof(whole))
        return BH_STR_NONE;
    const int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return BH_STR_NONE;
    size_t used = 0;
    for (ssize_t got; used < sizeof(probe->text) &&
                      (got = read(fd, probe->text + used, sizeof(probe->text) - used)) > 0;)
        used += (size_t)got;
    close(fd);
    return (struct bh_str){ .data = probe->text, .size = used };
}

static int read_machine(struct bh_memory_probe *const probe,
                        struct bh_memory_figures *const figures)
{
    const struct bh_str text = read_file(probe, "/proc", "", "meminfo");
    int result = bh_memory_field(text, BH_STR("MemTotal:"), &figures->machine_total_bytes);
    if (result == 0)
        result = bh_memory_field(text, BH_STR("MemAvailable:"), &figures->machine_available_bytes);
    if (result == 0 && (figures->machine_total_bytes == 0 ||
                        figures->machine_available_bytes > figures->machine_total_bytes))
        result = BH_ESYNTAX;
    return result;
}

/* Takes the bound if less of it is left than of the one so far, as shares. */
static void consider(struct bh_memory_figures *const figures, const uint64_t limit_bytes,
                     const uint64_t used_bytes, const char *const source)
{
    if (limit_bytes == 0 || limit_bytes >= figures->machine_total_bytes)
        return;
    const struct bh_memory_figures other = { .limit_bytes = limit_bytes, .used_bytes = used_bytes };
    if (figures->limit_source && bh_memory_percent(&other) <= bh_memory_percent(figures))
        return;
    figures->limit_bytes = limit_bytes;
    figures->used_bytes = used_bytes;
    figures->limit_source = source;
}

/* A cgroup's usage without its file pages. */
static int read_used(struct bh_memory_probe *const probe, const struct hierarchy *const kind,
                     const char *const path, uint64_t *const ret_used)
{
    uint64_t usage = 0, inactive = 0, active = 0;
    const int result = bh_memory_number(read_file(probe, kind->mount, path, kind->usage), &usage);
    if (result != 0)
        return result;
    const struct bh_str text = read_file(probe, kind->mount, path, "memory.stat");
    if (bh_memory_field(text, bh_str_from(kind->inactive), &inactive) != 0 ||
        bh_memory_field(text, bh_str_from(kind->active), &active) != 0 || inactive > usage ||
        active > usage - inactive)
        inactive = active = 0;
    *ret_used = usage - inactive - active;
    return 0;
}

/* The kernel adds up a cgroup's statistics when they are read: only where there is a limit. */
static void consider_cgroup(struct bh_memory_probe *const probe, const struct hierarchy *const kind,
                            const char *const path, struct bh_memory_figures *const figures)
{
    for (size_t i = 0; i < BH_COUNT_OF(kind->limits) && kind->limits[i].file; i++) {
        uint64_t limit = 0, used = 0;
        if (bh_memory_number(read_file(probe, kind->mount, path, kind->limits[i].file), &limit) ==
                0 &&
            limit < figures->machine_total_bytes && read_used(probe, kind, path, &used) == 0)
            consider(figures, limit, used, kind->limits[i].source);
    }
}

/* This process' cgroup and those above it, up to the root of what it sees. */
static void consider_hierarchy(struct bh_memory_probe *const probe,
                               const struct hierarchy *const kind,
                               struct bh_memory_figures *const figures)
{
    char path[BH_MEMORY_PATH_MAX];
    if (bh_memory_cgroup(read_file(probe, "/proc", "/self", "cgroup"), kind->version, path) != 0)
        return;
    for (;;) {
        consider_cgroup(probe, kind, path, figures);
        char *const slash = strrchr(path, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
}

int bh_memory_probe_read(struct bh_memory_probe *const probe,
                         struct bh_memory_figures *const ret_figures, struct bh_error *const reterr)
{
    struct bh_memory_figures figures = { 0 };
    uint64_t pages = 0;
    if (read_machine(probe, &figures) != 0 ||
        bh_memory_column(read_file(probe, "/proc", "/self", "statm"), 1, &pages) != 0)
        return bh_error_set(reterr, BH_EUNAVAILABLE,
                            "cannot tell how much memory is used: is /proc mounted?");
    figures.process_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < BH_COUNT_OF(hierarchies); i++)
        consider_hierarchy(probe, &hierarchies[i], &figures);
    consider(&figures, probe->limit_bytes, figures.process_bytes, "setting");
    if (!figures.limit_source) {
        figures.limit_bytes = figures.machine_total_bytes;
        figures.used_bytes = figures.machine_total_bytes - figures.machine_available_bytes;
        figures.limit_source = "machine";
    }
    double pressure = 0;
    if (bh_memory_pressure(read_file(probe, "/proc", "/pressure", "memory"), &pressure) == 0)
        figures.pressure_some_avg10 = pressure;
    char path[BH_MEMORY_PATH_MAX];
    if (bh_memory_cgroup(read_file(probe, "/proc", "/self", "cgroup"), 2, path) == 0 &&
        bh_memory_pressure(read_file(probe, hierarchies[0].mount, path, "memory.pressure"),
                           &pressure) == 0)
        figures.pressure_some_avg10 = pressure;
    *ret_figures = figures;
    return 0;
}

/* ---- Pressure as an event ---- */

static int open_trigger(const struct bh_memory_probe *const probe, const char *const folder,
                        const char *const path, const char *const name)
{
    char whole[PATH_BYTES_MAX];
    const int size = snprintf(whole, sizeof(whole), "%s%s%s/%s", probe->root, folder, path, name);
    if (size < 0 || (size_t)size >= sizeof(whole))
        return -1;
    const int fd = open(whole, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && write(fd, TRIGGER, sizeof(TRIGGER)) == (ssize_t)sizeof(TRIGGER))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int bh_memory_probe_open_pressure(struct bh_memory_probe *const probe)
{
    char path[BH_MEMORY_PATH_MAX];
    int fd = -1;
    if (bh_memory_cgroup(read_file(probe, "/proc", "/self", "cgroup"), 2, path) == 0)
        fd = open_trigger(probe, hierarchies[0].mount, path, "memory.pressure");
    return fd >= 0 ? fd : open_trigger(probe, "/proc", "/pressure", "memory");
}
