/* The monitor on a made-up machine: a folder with its /proc and /sys, whose files are moved. */
#include "made_up_machine.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/base/log.h"
#include "bulkhead/runtime/memory.h"

#define MIB (UINT64_C(1) << 20)
#define PATIENCE_S 60
#define HOUR_US (3600 * BH_SECOND_US)

static sem_t warned;

static void put_process(const uint64_t mib)
{
    char text[64];
    snprintf(text, sizeof(text), "90000 %llu 100 1 0 1 0\n",
             (unsigned long long)(mib * MIB / (uint64_t)sysconf(_SC_PAGESIZE)));
    put("/proc/self/statm", text);
}

static void put_used(const uint64_t mib)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "\n", mib * MIB);
    put("/sys/fs/cgroup/app/memory.current", text);
}

static void put_limit(const uint64_t mib)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "\n", mib * MIB);
    put("/sys/fs/cgroup/app/memory.stat", "inactive_file 0\nactive_file 0\n");
    put("/sys/fs/cgroup/app/memory.max", text);
    put("/proc/self/cgroup", "0::/app\n");
}

/* A machine of 1,000 MiB of which 900 are available; this process has 20 MiB. */
static int set_up(void **const state)
{
    (void)state;
    if (!make_machine() || sem_init(&warned, 0, 0) != 0)
        return -1;
    put("/proc/meminfo", "MemTotal: 1024000 kB\nMemAvailable: 921600 kB\n");
    put_process(20);
    return 0;
}

static int tear_down(void **const state)
{
    (void)state;
    sem_destroy(&warned);
    return remove_machine();
}

static bool note_warning(void *const argument)
{
    (void)argument;
    sem_post(&warned);
    return true;
}

/* Readings are an hour apart, were there plenty. */
static struct bh_memory *start(const uint64_t restart_interval_us)
{
    const struct bh_memory_options options = { .warning_percent = 75,
                                               .critical_percent = 85,
                                               .interval_us = HOUR_US,
                                               .restart_interval_us = restart_interval_us,
                                               .root = root };
    const struct bh_memory_action action = { .name = "test",
                                             .level = BH_MEMORY_WARNING,
                                             .apply = note_warning };
    struct bh_memory *memory = NULL;
    struct bh_error error;
    assert_int_equal(bh_memory_create(&options, &memory, &error), 0);
    bh_memory_add(memory, &action);
    assert_int_equal(bh_memory_start(memory, &error), 0);
    return memory;
}

static void wait_for_warning(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&warned, &until), 0);
}

static void test_the_less_is_left_the_sooner_it_is_read(void **const state)
{
    (void)state;
    put_limit(100);
    put_used(40);
    struct bh_memory *const memory = start(0);
    put_used(80);
    wait_for_warning();
    assert_false(bh_memory_is_critical(memory));
    bh_memory_destroy(memory);
}

/* The log's other end. */
static int log_end;

static void log_take_over(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    log_end = ends[0];
    bh_log_setup(BH_LOG_INFO, BH_LOG_TEXT, ends[1]);
}

static void wait_for_line(const char *const line)
{
    static char text[16384];
    size_t size = 0;
    struct pollfd readable = { .fd = log_end, .events = POLLIN };
    do {
        assert_int_equal(poll(&readable, 1, PATIENCE_S * 1000), 1);
        const ssize_t got = read(log_end, text + size, sizeof(text) - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
        text[size] = '\0';
    } while (!strstr(text, line));
}

struct stay {
    const char *why;
    uint64_t limit, process, used; /* MiB, from 20 and 30 */
    uint64_t restart_interval_us;
};

static void stays(const struct stay *const how)
{
    put_limit(how->limit);
    put_process(20);
    put_used(30);
    struct bh_memory *const memory = start(how->restart_interval_us);
    put_process(how->process);
    put_used(how->used);
    wait_for_line(how->why);
    assert_true(bh_memory_is_critical(memory));
    bh_memory_destroy(memory);
}

static void test_it_is_said_why_the_worker_stays(void **const state)
{
    (void)state;
    static const struct stay all[] = {
        { "not replaced: what fills the memory is not what it has grown by", 100, 22, 90, 0 },
        { "not replaced: no room for a second worker beside this one", 100, 70, 90, 0 },
        { "not replaced: it is too young", 400, 300, 345, HOUR_US },
        { "not replaced: there is no supervisor", 400, 300, 345, 0 },
    };
    log_take_over();
    for (size_t i = 0; i < BH_COUNT_OF(all); i++)
        stays(&all[i]);
    bh_log_flush();
    bh_log_setup(BH_LOG_INFO, BH_LOG_TEXT, STDERR_FILENO);
    close(log_end);
}

static void test_others_that_fill_the_machine_cost_no_work(void **const state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 1024000 kB\nMemAvailable: 51200 kB\n");
    struct bh_memory *const memory = start(0);
    wait_for_warning();
    assert_false(bh_memory_is_critical(memory));
    put_process(200); /* more than a tenth: now it is this one */
    for (unsigned i = 0; i < PATIENCE_S * 100 && !bh_memory_is_critical(memory); i++)
        poll(NULL, 0, 10);
    assert_true(bh_memory_is_critical(memory));
    bh_memory_destroy(memory);
}

/* The kernel's file is told once when to wake its reader; a plain file shows what it was told. */
static void test_the_kernel_is_asked_to_tell_of_pressure(void **const state)
{
    (void)state;
    put("/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
    bh_memory_destroy(start(0));
    char path[256], text[64] = { 0 };
    snprintf(path, sizeof(path), "%s/proc/pressure/memory", root);
    FILE *const file = fopen(path, "re");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "some 150000 2000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_less_is_left_the_sooner_it_is_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_kernel_is_asked_to_tell_of_pressure, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_it_is_said_why_the_worker_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_others_that_fill_the_machine_cost_no_work, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
