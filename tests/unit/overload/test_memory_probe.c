/* The probe on made-up machines: a folder with their /proc and /sys. */
#include "made_up_machine.h"

#include <unistd.h>

#include "bulkhead/overload/memory_probe.h"

#define MIB (UINT64_C(1) << 20)

/* A machine of 1,000 MiB of which 400 are available; this process has 25 MiB. */
static int set_up(void **const state)
{
    (void)state;
    if (!make_machine())
        return -1;
    put("/proc/meminfo", "MemTotal: 1024000 kB\nMemFree: 1 kB\nMemAvailable: 409600 kB\n");
    put("/proc/self/statm", "20000 6400 100 1 0 1 0\n");
    return 0;
}

static int tear_down(void **const state)
{
    (void)state;
    return remove_machine();
}

static struct bh_memory_figures read_with(const uint64_t limit_bytes)
{
    const struct bh_memory_probe_options options = { .root = root, .limit_bytes = limit_bytes };
    struct bh_memory_probe *probe = NULL;
    struct bh_memory_figures figures;
    struct bh_error error;
    assert_int_equal(bh_memory_probe_create(&options, &probe), 0);
    assert_int_equal(bh_memory_probe_read(probe, &figures, &error), 0);
    const int pressure = bh_memory_probe_open_pressure(probe);
    if (pressure >= 0) /* the machine has a file for it */
        close(pressure);
    bh_memory_probe_destroy(probe);
    assert_int_equal(figures.process_bytes, 6400 * (uint64_t)sysconf(_SC_PAGESIZE));
    return figures;
}

static void test_a_machine_without_cgroups(void **const state)
{
    (void)state;
    const struct bh_memory_figures figures = read_with(0);
    assert_string_equal(figures.limit_source, "machine");
    assert_int_equal(figures.limit_bytes, 1000 * MIB);
    assert_int_equal(figures.used_bytes, 600 * MIB);
    assert_true(bh_memory_percent(&figures) > 59.9 && bh_memory_percent(&figures) < 60.1);
}

static void put_v2(const char *const path, const char *const maximum, const char *const high,
                   const char *const current, const char *const stat_text)
{
    char name[256];
    const char *const files[] = { "memory.max", "memory.high", "memory.current", "memory.stat" };
    const char *const texts[] = { maximum, high, current, stat_text };
    for (size_t i = 0; i < BH_COUNT_OF(files); i++) {
        snprintf(name, sizeof(name), "/sys/fs/cgroup%s/%s", path, files[i]);
        put(name, texts[i]);
    }
}

static void test_version_2_with_an_ancestor_that_is_tighter(void **const state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/app/web\n");
    put_v2("/app/web", "max\n", "max\n", "52428800\n", "inactive_file 0\nactive_file 0\n");
    put_v2("/app", "209715200\n", "max\n", "157286400\n",
           "anon 1\ninactive_file 31457280\nactive_file 20971520\n");
    struct bh_memory_figures figures = read_with(0);
    assert_string_equal(figures.limit_source, "cgroup2 memory.max");
    assert_int_equal(figures.limit_bytes, 200 * MIB);
    assert_int_equal(figures.used_bytes, 100 * MIB); /* file pages can be dropped */

    put_v2("/app/web", "max\n", "62914560\n", "52428800\n", "inactive_file 0\nactive_file 0\n");
    figures = read_with(0);
    assert_string_equal(figures.limit_source, "cgroup2 memory.high");
    assert_int_equal(figures.limit_bytes, 60 * MIB);

    put("/sys/fs/cgroup/app/web/memory.pressure",
        "some avg10=7.50 avg60=0.00 avg300=0.00 total=1\n");
    put("/proc/pressure/memory", "some avg10=1.00 avg60=0.00 avg300=0.00 total=1\n");
    figures = read_with(0);
    assert_true(figures.pressure_some_avg10 > 7.4 && figures.pressure_some_avg10 < 7.6);
}

static void test_version_1(void **const state)
{
    (void)state;
    put("/proc/self/cgroup", "5:cpuacct,cpu:/x\n4:memory:/job\n0::/\n");
    put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "104857600\n");
    put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "94371840\n");
    put("/sys/fs/cgroup/memory/job/memory.stat",
        "inactive_file 1\ntotal_inactive_file 10485760\ntotal_active_file 0\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "994371840\n");
    const struct bh_memory_figures figures = read_with(0);
    assert_string_equal(figures.limit_source, "cgroup1");
    assert_int_equal(figures.limit_bytes, 100 * MIB);
    assert_int_equal(figures.used_bytes, 80 * MIB);
}

/* In a container without a namespace of its own, the path is the host's: only the root is there. */
static void test_a_path_that_is_not_mounted(void **const state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/docker-0123.scope\n");
    put_v2("", "104857600\n", "max\n", "52428800\n", "inactive_file 0\nactive_file 0\n");
    const struct bh_memory_figures figures = read_with(0);
    assert_int_equal(figures.limit_bytes, 100 * MIB);
    assert_int_equal(figures.used_bytes, 50 * MIB);
}

static void test_nonsense_is_no_limit(void **const state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/x\n");
    put_v2("/x", "lots\n", "0\n", "52428800\n", "inactive_file 99999999999\nactive_file 0\n");
    struct bh_memory_figures figures = read_with(0);
    assert_string_equal(figures.limit_source, "machine");
    put_v2("/x", "104857600\n", "max\n", "52428800\n", "inactive_file 99999999999\n");
    figures = read_with(0);
    assert_int_equal(figures.used_bytes, 50 * MIB); /* more pages than there can be: not believed */
    put_v2("/x", "4194304000000\n", "max\n", "52428800\n", "");
    figures = read_with(0);
    assert_string_equal(figures.limit_source, "machine"); /* more than the machine has */
}

static void test_a_limit_of_ones_own(void **const state)
{
    (void)state;
    struct bh_memory_figures figures = read_with(50 * MIB);
    assert_string_equal(figures.limit_source, "setting");
    assert_int_equal(figures.used_bytes, figures.process_bytes);
    put("/proc/self/cgroup", "0::/x\n");
    put_v2("/x", "104857600\n", "max\n", "94371840\n", "");
    figures = read_with(50 * MIB); /* half used, against nine tenths */
    assert_string_equal(figures.limit_source, "cgroup2 memory.max");
}

static void test_no_proc_is_told(void **const state)
{
    (void)state;
    const struct bh_memory_probe_options options = { .root = "/nowhere" };
    struct bh_memory_probe *probe = NULL;
    struct bh_memory_figures figures;
    struct bh_error error;
    assert_int_equal(bh_memory_probe_create(&options, &probe), 0);
    assert_int_equal(bh_memory_probe_read(probe, &figures, &error), BH_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "/proc"));
    bh_memory_probe_destroy(probe);
}

int main(void)
{
#define ON_A_MACHINE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_A_MACHINE(test_a_machine_without_cgroups),
        ON_A_MACHINE(test_version_2_with_an_ancestor_that_is_tighter),
        ON_A_MACHINE(test_version_1),
        ON_A_MACHINE(test_a_path_that_is_not_mounted),
        ON_A_MACHINE(test_nonsense_is_no_limit),
        ON_A_MACHINE(test_a_limit_of_ones_own),
        cmocka_unit_test(test_no_proc_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
