/* What a host's name stands for, and which of that is asked first. */
#include "db/postgres/pg_address.h"

#include <string.h>

#include "cmocka_setup.h"
#include "../support/made_up_names.h"

static void resolve(const char *const name, const char *const list,
                    struct bh_pg_addresses *const ret_addresses)
{
    made_up_addresses = list;
    assert_int_equal(bh_pg_addresses_resolve(name, ret_addresses, NULL), 0);
}

static void assert_are(const struct bh_pg_addresses *const addresses, const char *const first,
                       const char *const second)
{
    assert_int_equal(addresses->count, second ? 2 : 1);
    assert_string_equal(addresses->texts[0], first);
    if (second)
        assert_string_equal(addresses->texts[1], second);
}

static void a_name_stands_for_all_its_addresses(void **const state)
{
    (void)state;
    struct bh_pg_addresses addresses;
    resolve("database.test", "127.0.0.2,127.0.0.1,127.0.0.2", &addresses);
    assert_are(&addresses, "127.0.0.2", "127.0.0.1");
    resolve("127.0.0.3", "", &addresses);
    assert_are(&addresses, "127.0.0.3", NULL);
    resolve("::1", "", &addresses);
    assert_are(&addresses, "::1", NULL);
}

static void what_is_no_name_is_left_to_libpq(void **const state)
{
    (void)state;
    static const char *const hosts[] = { NULL, "", "/run/postgresql", "@abstract" };
    for (size_t i = 0; i < BH_COUNT_OF(hosts); i++) {
        struct bh_pg_addresses addresses;
        resolve(hosts[i], "", &addresses);
        assert_are(&addresses, "", NULL);
    }
}

static void an_unknown_name_is_an_outage(void **const state)
{
    (void)state;
    struct bh_pg_addresses addresses = { .count = 7 };
    struct bh_error error;
    made_up_addresses = "";
    assert_int_equal(bh_pg_addresses_resolve("database.test", &addresses, &error), BH_EUNAVAILABLE);
    assert_int_equal(addresses.count, 7);
    assert_non_null(strstr(error.message, "database.test"));
    assert_string_equal(error.sqlstate, "08001");
}

static void more_addresses_than_there_is_room_for(void **const state)
{
    (void)state;
    struct bh_pg_addresses addresses;
    resolve("database.test",
            "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6,127.0.0.7,127.0.0.8,"
            "127.0.0.9",
            &addresses);
    assert_int_equal(addresses.count, BH_PG_ADDRESSES_MAX);
    assert_false(bh_pg_addresses_have(&addresses, "127.0.0.9"));
    bh_pg_addresses_begin_with(&addresses, "127.0.0.10", true);
    assert_int_equal(addresses.count, BH_PG_ADDRESSES_MAX + 1);
    assert_string_equal(addresses.texts[0], "127.0.0.10");
    assert_string_equal(addresses.texts[BH_PG_ADDRESSES_MAX], "127.0.0.8");
}

static void the_last_one_is_asked_first(void **const state)
{
    (void)state;
    struct bh_pg_addresses addresses;
    resolve("database.test", "127.0.0.2,127.0.0.1", &addresses);
    bh_pg_addresses_begin_with(&addresses, "127.0.0.1", false);
    assert_are(&addresses, "127.0.0.1", "127.0.0.2");
    bh_pg_addresses_begin_with(&addresses, "127.0.0.9", false); /* the name has moved on */
    assert_are(&addresses, "127.0.0.1", "127.0.0.2");
    bh_pg_addresses_begin_with(&addresses, "127.0.0.9", true);
    assert_int_equal(addresses.count, 3);
    assert_string_equal(addresses.texts[0], "127.0.0.9");
    assert_string_equal(addresses.texts[1], "127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_stands_for_all_its_addresses),
        cmocka_unit_test(what_is_no_name_is_left_to_libpq),
        cmocka_unit_test(an_unknown_name_is_an_outage),
        cmocka_unit_test(more_addresses_than_there_is_room_for),
        cmocka_unit_test(the_last_one_is_asked_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
