/* The monitor's thread and its steps; memory_health.c has the answers. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/thread.h"
#include "bulkhead/runtime/lifecycle.h"
#include "runtime/memory_internal.h"

#define IDLE_HEAP_BYTES ((size_t)32 * 1024 * 1024)
#define HEAP_REPEAT_US (10 * BH_SECOND_US)
#define WORKER_REPEAT_US (60 * BH_SECOND_US)

/* Below this share of the machine a process is not what fills it. */
#define OWN_PERCENT 10.0

/* The next reading comes before half of what is left could be used at a gigabyte a second, the
 * fastest that a process was seen to grow, and more. */
#define GROWTH_BYTES_PER_US 1024
#define NEXT_READING_MIN_US (50 * BH_MS_US)

/* ---- Built-in steps ---- */

static bool trim_heap(void *const argument)
{
    (void)argument;
    malloc_trim(0);
    return true;
}

static bool refuse_heavy_work(void *const argument)
{
    struct bh_memory *const memory = argument;
    atomic_store(&memory->is_critical, true);
    return true;
}

static void take_heavy_work(void *const argument)
{
    struct bh_memory *const memory = argument;
    atomic_store(&memory->is_critical, false);
}

/* Says why the worker is not replaced, once while the level stands. */
static bool keep_worker(struct bh_memory *const memory, const char *const why)
{
    if (!memory->has_told_why)
        bh_log_warning("memory", "The worker is not replaced: %s", why);
    memory->has_told_why = true;
    return false;
}

/* What a new worker would not have: all that this one has grown since its start. */
static bool would_help(const struct bh_memory *const memory)
{
    const struct bh_memory_figures *const now = &memory->shared.figures;
    const uint64_t grown = now->process_bytes > memory->first_bytes
                               ? now->process_bytes - memory->first_bytes
                               : 0;
    const uint64_t left = now->used_bytes > grown ? now->used_bytes - grown : 0;
    return 100.0 * (double)left <
           (double)memory->options.warning_percent * (double)now->limit_bytes;
}

/* What could be used yet: where the limit is a wish of ours, all that the machine has. */
static uint64_t bytes_left(const struct bh_memory_figures *const now)
{
    if (strcmp(now->limit_source, "setting") == 0)
        return now->machine_available_bytes;
    return now->limit_bytes > now->used_bytes ? now->limit_bytes - now->used_bytes : 0;
}

/* For a while there are two: the new one takes what this one took at its start, and half as much
 * again because it serves at once. Without room for that the kernel would end one of them. */
static bool has_room(const struct bh_memory *const memory)
{
    return bytes_left(&memory->shared.figures) >= memory->first_bytes + memory->first_bytes / 2;
}

/* Only this thread writes the figures, so it reads them without the mutex. */
static bool replace_worker(void *const argument)
{
    struct bh_memory *const memory = argument;
    if (bh_memory_percent(&memory->shared.figures) < memory->options.critical_percent)
        return false; /* it is coming back, and the level only waits whether it stays */
    if (!would_help(memory))
        return keep_worker(memory, "what fills the memory is not what it has grown by");
    if (!has_room(memory))
        return keep_worker(memory, "no room for a second worker beside this one");
    if (bh_time_now_us() - memory->started_us < memory->options.restart_interval_us)
        return keep_worker(memory, "it is too young (MEMORY_RESTART_INTERVAL)");
    if (!bh_lifecycle_request_replacement("memory is critical"))
        return keep_worker(memory, "there is no supervisor");
    atomic_store(&memory->restart_requested, true);
    return true;
}

static void withdraw(void *const argument)
{
    struct bh_memory *const memory = argument;
    atomic_store(&memory->restart_requested, false);
}

static void add_built_in(struct bh_memory *const memory)
{
    const struct bh_memory_action actions[] = {
        { .name = "heap",
          .level = BH_MEMORY_WARNING,
          .repeat_us = HEAP_REPEAT_US,
          .apply = trim_heap },
        { .name = "heavy work",
          .level = BH_MEMORY_CRITICAL,
          .apply = refuse_heavy_work,
          .undo = take_heavy_work },
        { .name = "worker",
          .level = BH_MEMORY_CRITICAL,
          .after_us = memory->options.restart_delay_us,
          .repeat_us = WORKER_REPEAT_US,
          .apply = replace_worker,
          .undo = withdraw },
    };
    for (size_t i = 0; i < BH_COUNT_OF(actions); i++) {
        struct bh_memory_action action = actions[i];
        action.argument = memory;
        bh_memory_ladder_add(memory->ladder, &action);
    }
}

/* ---- Heap that nobody needs ---- */

/* What a crowd that has gone left behind: free at each reading for a minute, and more than there
 * was the last time. Given back sooner, it would be asked for again. */
static void return_idle_heap(struct bh_memory *const memory,
                             const struct bh_memory_figures *const now)
{
    const size_t free_bytes = mallinfo2().fordblks;
    if (memory->idle.readings == 0 || free_bytes < memory->idle.least_free)
        memory->idle.least_free = free_bytes;
    if (++memory->idle.readings < BH_MEMORY_RECENT)
        return;
    memory->idle.readings = 0;
    if (memory->idle.least_free < IDLE_HEAP_BYTES ||
        now->process_bytes < memory->idle.settled_bytes + IDLE_HEAP_BYTES)
        return;
    struct bh_memory_figures after;
    malloc_trim(0);
    if (bh_memory_probe_read(memory->probe, &after, NULL) == 0)
        memory->idle.settled_bytes = after.process_bytes;
}

/* ---- Readings ---- */

static void tell(const struct bh_memory_figures *const now, const enum bh_memory_level level,
                 const bool is_worse)
{
    bh_log(is_worse ? BH_LOG_WARNING : BH_LOG_INFO, "memory",
           "Memory is %s: %.1f%% of %.0f MB used (%s), %.0f MB by this process, pressure %.2f%%",
           bh_memory_level_names[level], bh_memory_percent(now),
           (double)now->limit_bytes / BH_MEMORY_MB, now->limit_source,
           (double)now->process_bytes / BH_MEMORY_MB, now->pressure_some_avg10);
}

/* `is_regular`: not one of those between that a shortage asks for. */
static void keep(struct bh_memory *const memory, const struct bh_memory_figures *const figures,
                 const enum bh_memory_level level, const bool is_regular)
{
    pthread_mutex_lock(&memory->shared.mutex);
    memory->shared.figures = *figures;
    memory->shared.level = level;
    if (is_regular)
        memory->shared.recent[memory->shared.readings++ % BH_MEMORY_RECENT] = bh_memory_percent(
            figures);
    memory->shared.wall_us = bh_time_wall_us();
    pthread_mutex_unlock(&memory->shared.mutex);
}

static void take_reading(struct bh_memory *const memory)
{
    struct bh_memory_figures figures;
    struct bh_error error;
    if (bh_memory_probe_read(memory->probe, &figures, &error) != 0) {
        bh_log_warning("memory", "%s", error.message);
        return;
    }
    const double percent = bh_memory_percent(&figures);
    const bool is_others = strcmp(figures.limit_source, "machine") == 0 &&
                           100.0 * (double)figures.process_bytes <
                               OWN_PERCENT * (double)figures.machine_total_bytes;
    const enum bh_memory_level before = memory->shared.level;
    const uint64_t now_us = bh_time_now_us();
    const enum bh_memory_level level = bh_memory_ladder_feed(
        memory->ladder, percent, is_others ? BH_MEMORY_WARNING : BH_MEMORY_CRITICAL, now_us);
    const bool is_regular = now_us >= memory->regular_us;
    if (is_regular)
        memory->regular_us = now_us + memory->options.interval_us;
    keep(memory, &figures, level, is_regular);
    if (level != before) {
        memory->has_told_why = false;
        tell(&figures, level, level > before);
    }
    bh_memory_ladder_run(memory->ladder, now_us);
    if (is_regular)
        return_idle_heap(memory, &figures);
}

/* Milliseconds until the next reading. */
static int next_reading_ms(const struct bh_memory *const memory)
{
    const uint64_t now_us = bh_time_now_us();
    const uint64_t soon_us = bytes_left(&memory->shared.figures) / (2 * GROWTH_BYTES_PER_US);
    uint64_t wait_us = memory->regular_us > now_us ? memory->regular_us - now_us : 0;
    if (soon_us < wait_us)
        wait_us = soon_us;
    if (wait_us < NEXT_READING_MIN_US)
        wait_us = memory->options.interval_us < NEXT_READING_MIN_US ? memory->options.interval_us
                                                                    : NEXT_READING_MIN_US;
    return (int)((wait_us + BH_MS_US - 1) / BH_MS_US);
}

static void *watch(void *const argument)
{
    struct bh_memory *const memory = argument;
    pthread_setname_np(pthread_self(), "memory");
    struct pollfd fds[] = { { .fd = memory->stop_fd, .events = POLLIN },
                            { .fd = memory->pressure_fd, .events = POLLPRI } };
    for (;;) {
        take_reading(memory);
        const int ready = poll(fds, BH_COUNT_OF(fds), next_reading_ms(memory));
        if (ready < 0 && errno != EINTR)
            break;
        if (ready > 0 && fds[0].revents != 0)
            break;
        if (ready > 0 && (fds[1].revents & POLLERR) != 0)
            fds[1].fd = -1; /* its cgroup is gone: the interval goes on */
    }
    return NULL;
}

/* ---- Life ---- */

int bh_memory_create(const struct bh_memory_options *const options,
                     struct bh_memory **const ret_memory, struct bh_error *const reterr)
{
    struct bh_memory *const memory = calloc(1, sizeof(*memory));
    if (!memory)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the memory monitor");
    memory->magic = BH_MEMORY_MAGIC;
    memory->options = *options;
    memory->stop_fd = memory->pressure_fd = -1;
    pthread_mutex_init(&memory->shared.mutex, NULL);
    const struct bh_memory_probe_options probe = { .root = options->root,
                                                   .limit_bytes = options->limit_bytes };
    int result = bh_memory_ladder_create(options->warning_percent, options->critical_percent,
                                         &memory->ladder);
    if (result)
        bh_error_set(reterr, result, "memory's warning threshold must be below the critical one");
    if (result == 0)
        result = bh_memory_probe_create(&probe, &memory->probe);
    if (result == 0)
        result = bh_memory_probe_read(memory->probe, &memory->shared.figures, reterr);
    if (result) {
        bh_memory_destroy(memory);
        return result;
    }
    keep(memory, &memory->shared.figures, BH_MEMORY_OK, true);
    *ret_memory = memory;
    return 0;
}

void bh_memory_destroy(struct bh_memory *const memory)
{
    if (!memory)
        return;
    bh_magic_check(memory, BH_MEMORY_MAGIC);
    if (memory->has_thread) {
        (void)!write(memory->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
        pthread_join(memory->thread, NULL);
    }
    if (memory->stop_fd >= 0)
        close(memory->stop_fd);
    if (memory->pressure_fd >= 0)
        close(memory->pressure_fd);
    bh_memory_probe_destroy(memory->probe);
    bh_memory_ladder_destroy(memory->ladder);
    pthread_mutex_destroy(&memory->shared.mutex);
    memory->magic = 0;
    free(memory);
}

void bh_memory_add(struct bh_memory *const memory, const struct bh_memory_action *const action)
{
    bh_memory_ladder_add(memory->ladder, action);
}

int bh_memory_start(struct bh_memory *const memory, struct bh_error *const reterr)
{
    add_built_in(memory);
    memory->started_us = bh_time_now_us();
    memory->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (memory->stop_fd < 0)
        return bh_error_errno(reterr, errno, "cannot start the memory monitor");
    memory->pressure_fd = bh_memory_probe_open_pressure(memory->probe);
    struct bh_memory_figures figures;
    int result = bh_memory_probe_read(memory->probe, &figures, reterr);
    if (result)
        return result;
    memory->first_bytes = memory->idle.settled_bytes = figures.process_bytes;
    result = bh_thread_start(watch, memory, &memory->thread);
    memory->has_thread = result == 0;
    return result == 0 ? 0 : bh_error_set(reterr, result, "no thread for the memory monitor");
}

bool bh_memory_is_critical(const struct bh_memory *const memory)
{
    return atomic_load_explicit(&memory->is_critical, memory_order_relaxed);
}
