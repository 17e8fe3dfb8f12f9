/*
 * Metrics of the process itself, by the names Prometheus' client libraries use. The values are read
 * from /proc when they are exposed; one that cannot be read is NaN.
 */
#define BH_METRICS_FILE "base/process_metrics.def"
#include "bulkhead/base/metrics_define.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/time.h"

#define PROC_BYTES_MAX 1024

/* The text of a small file, kept in `buffer`; empty if it cannot be read. */
static struct bh_str read_proc(const char *const path, char buffer[PROC_BYTES_MAX])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return BH_STR_NONE;
    const ssize_t size = read(fd, buffer, PROC_BYTES_MAX);
    close(fd);
    return (struct bh_str){ .data = buffer, .size = size > 0 ? (size_t)size : 0 };
}

/* The n-th of the numbers between blanks, from 1, or NaN. */
static double read_field(struct bh_str text, const int number)
{
    struct bh_str field = BH_STR_NONE;
    for (int i = 0; i < number; i++)
        field = bh_str_split(&text, ' ');
    int64_t value;
    if (bh_str_to_int64(field, 0, INT64_MAX, &value) != 0)
        return NAN;
    return (double)value;
}

static double read_resident(void *const argument)
{
    (void)argument;
    char text[PROC_BYTES_MAX];
    return read_field(read_proc("/proc/self/statm", text), 2) * (double)sysconf(_SC_PAGESIZE);
}

static double read_cpu(void *const argument)
{
    (void)argument;
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return NAN;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double read_open_fds(void *const argument)
{
    (void)argument;
    DIR *const directory = opendir("/proc/self/fd");
    if (!directory)
        return NAN;
    double count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] != '.')
            count++;
    }
    closedir(directory);
    return count - 1; /* without the directory's own */
}

/* Seconds since boot at which the process began, or NaN. */
static double start_since_boot(void)
{
    char text[PROC_BYTES_MAX];
    struct bh_str stat = read_proc("/proc/self/stat", text);
    /* field 2 is the program's name in brackets, which may hold blanks and brackets */
    const char *const behind_name = stat.size > 0 ? memrchr(stat.data, ')', stat.size) : NULL;
    if (!behind_name)
        return NAN;
    stat.size -= (size_t)(behind_name + 2 - stat.data);
    stat.data = behind_name + 2;
    return read_field(stat, 22 - 2) / (double)sysconf(_SC_CLK_TCK);
}

static double start_time_seconds;

static double read_start_time(void *const argument)
{
    (void)argument;
    return start_time_seconds;
}

void bh_metrics_register_process(void)
{
    struct timespec since_boot;
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    const double uptime = (double)since_boot.tv_sec + (double)since_boot.tv_nsec / 1e9;
    const double start = (double)bh_time_wall_us() / 1e6 - (uptime - start_since_boot());
    start_time_seconds = isnan(start) ? start : (double)(int64_t)start; /* whole seconds */

    bh_metrics_register(metric_families, METRIC_COUNT);
    bh_metrics_gauge_callback(&metric_families[METRIC_resident], read_resident, NULL);
    bh_metrics_gauge_callback(&metric_families[METRIC_cpu], read_cpu, NULL);
    bh_metrics_gauge_callback(&metric_families[METRIC_open_fds], read_open_fds, NULL);
    bh_metrics_gauge_callback(&metric_families[METRIC_start_time], read_start_time, NULL);
    const char *const version = BH_VERSION;
    const bh_metric info = bh_metrics_child(&metric_families[METRIC_build_info], &version, 1);
    if (bh_metrics_value(info) == 0)
        bh_metrics_add(info, 1);
}
