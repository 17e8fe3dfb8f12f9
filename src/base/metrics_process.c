/*
 * Metrics of the process itself, by the names Prometheus' client libraries use. The values are read
 * from /proc when they are exposed; one that cannot be read is NaN.
 */
#define BH_METRICS_FILE "base/process_metrics.def"
#include "bulkhead/base/metrics_define.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/time.h"

static double read_resident(void *const argument)
{
    (void)argument;
    unsigned long long total_pages = 0;
    unsigned long long resident_pages = 0;
    FILE *const file = fopen("/proc/self/statm", "re");
    if (!file)
        return NAN;
    const int fields = fscanf(file, "%llu %llu", &total_pages, &resident_pages);
    fclose(file);
    return fields == 2 ? (double)resident_pages * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

static double read_cpu(void *const argument)
{
    (void)argument;
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return NAN;
    return (double)used.tv_sec + (double)(used.tv_nsec / 1000) / 1e6;
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

/* Seconds since boot at which the process began, or NaN (field 22 of proc_pid_stat(5)). */
static double start_since_boot(void)
{
    char text[1024];
    FILE *const file = fopen("/proc/self/stat", "re");
    if (!file)
        return NAN;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    const char *at = strrchr(text, ')'); /* the name in field 2 may hold blanks */
    unsigned long long ticks = 0;
    if (!at || sscanf(at + 1,
                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d"
                      " %llu",
                      &ticks) != 1)
        return NAN;
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
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
