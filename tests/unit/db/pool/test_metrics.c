/* What /metrics tells of a pool without the pool's having counted it. */
#include <string.h>

#include "bulkhead/base/metrics.h"
#include "cmocka_setup.h"
#include "simulation.h"

static bool exposes(const char *const line)
{
    struct bh_buf buf;
    bh_buf_init(&buf, 1024 * 1024);
    bh_metrics_expose(&buf, false);
    bh_buf_append_byte(&buf, '\0');
    assert_int_equal(bh_buf_error(&buf), 0);
    const bool found = strstr(buf.data, line) != NULL;
    bh_buf_fini(&buf);
    return found;
}

static void start(struct sim *const sim)
{
    struct bh_pool_options options;
    bh_pool_options_default(&options);
    options.name = "metered";
    options.minimum = 2;
    options.maximum = 2;
    sim_init(sim, &options, 7);
    sim_run(sim, 500 * BH_MS_US);
}

static void idle_connections_are_told_as_they_are(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim);
    assert_true(exposes("\ndb_connections_idle{lane=\"metered\"} 2\n"));
    struct sim_lease lease;
    assert_int_equal(sim_ask(&lease, &sim), 0);
    assert_true(exposes("\ndb_connections_idle{lane=\"metered\"} 1\n"));
    sim_release(&lease, BH_POOL_CLEAN);
    assert_true(exposes("\ndb_connections_idle{lane=\"metered\"} 2\n"));
    sim_fini(&sim);
    assert_true(exposes("\ndb_connections_idle{lane=\"metered\"} 0\n"));
}

static void reuse_is_the_share_of_leases_without_a_connect(void **const state)
{
    (void)state;
    struct sim sim;
    start(&sim);
    assert_true(exposes("\ndb_connection_reuse_ratio{lane=\"metered\"} 1\n"));
    struct sim_lease lease;
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(sim_ask(&lease, &sim), 0);
        sim_release(&lease, BH_POOL_CLEAN);
    }
    assert_true(exposes("\ndb_connection_reuse_ratio{lane=\"metered\"} 0.75\n"));
    sim_fini(&sim);
}

static void the_end_of_an_older_pool_of_the_name_takes_nothing_away(void **const state)
{
    (void)state;
    struct sim older;
    struct sim newer;
    start(&older);
    start(&newer);
    sim_fini(&older);
    assert_true(exposes("\ndb_connections_idle{lane=\"metered\"} 2\n"));
    sim_fini(&newer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connections_are_told_as_they_are),
        cmocka_unit_test(reuse_is_the_share_of_leases_without_a_connect),
        cmocka_unit_test(the_end_of_an_older_pool_of_the_name_takes_nothing_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
