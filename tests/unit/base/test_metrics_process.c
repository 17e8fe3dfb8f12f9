#include "cmocka_setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/base/metrics.h"
#include "bulkhead/base/time.h"

static double exposed(const char *const sample)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, 1 << 20);
    bh_metrics_expose(&text, true);
    bh_buf_append_byte(&text, '\0');
    char line[200];
    snprintf(line, sizeof(line), "\n%s ", sample);
    const char *const at = strstr(text.data, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static void test_memory(void **const state)
{
    (void)state;
    enum { BYTES = 64 << 20 };
    const double before = exposed("process_resident_memory_bytes");
    assert_true(before > 1e5);
    char *const memory = malloc(BYTES);
    assert_non_null(memory);
    for (size_t at = 0; at < BYTES; at += 1024)
        ((volatile char *)memory)[at] = 1;
    assert_true(exposed("process_resident_memory_bytes") > before + BYTES * 0.9);
    free(memory);
}

static void test_cpu(void **const state)
{
    (void)state;
    const double before = exposed("process_cpu_seconds_total");
    volatile unsigned work = 0;
    while (exposed("process_cpu_seconds_total") < before + 0.01)
        work = work + 1;
    assert_true(exposed("process_cpu_seconds_total") < before + 60);
}

static void test_open_fds(void **const state)
{
    (void)state;
    const double before = exposed("process_open_fds");
    const int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int second = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal((int)exposed("process_open_fds"), (int)before + 2);
    close(first);
    close(second);
    assert_int_equal((int)exposed("process_open_fds"), (int)before);
}

static void test_start_time_and_version(void **const state)
{
    (void)state;
    const double now = (double)bh_time_wall_us() / 1e6;
    assert_true(exposed("process_start_time_seconds") < now + 1);
    assert_true(exposed("process_start_time_seconds") > now - 600);
    bh_metrics_register_process(); /* again: still 1 */
    assert_int_equal((int)exposed("bulkhead_build_info{version=\"" BH_VERSION "\"}"), 1);
}

static int set_up(void **const state)
{
    (void)state;
    bh_metrics_register_process();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_open_fds),
        cmocka_unit_test(test_start_time_and_version),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
