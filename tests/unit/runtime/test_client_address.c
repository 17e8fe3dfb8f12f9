/* Which address counts behind proxies: honest lists, and what clients write to look like others. */
#include "runtime/client_address.h"

#include <string.h>

#include "bulkhead/base/buf.h"
#include "cmocka_setup.h"

static struct bh_networks networks_of(const char *const text)
{
    struct bh_networks networks;
    struct bh_error error = { 0 };
    if (bh_networks_parse("TRUSTED_PROXIES", bh_str_from(text), &networks, &error) != 0)
        fail_msg("%s", error.message);
    return networks;
}

static struct bh_address address_of(const char *const text)
{
    struct bh_address address;
    if (!bh_address_parse(bh_str_from(text), &address))
        fail_msg("no address: %s", text);
    return address;
}

static void one_client_is_an_address_or_a_network_of_64_bits(void **const state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "192.0.2.7", "192.0.2.7" },
        { "::ffff:192.0.2.7", "192.0.2.7" },
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
        { "2001:db8:1:2::", "2001:db8:1:2::/64" },
        { "::1", "::/64" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        char text[BH_ADDRESS_TEXT_SIZE];
        const struct bh_address address = address_of(cases[i][0]);
        const struct bh_str client = bh_address_client(&address, text);
        assert_int_equal(client.size, strlen(cases[i][1]));
        assert_string_equal(client.data, cases[i][1]);
    }
}

static void reads_networks(void **const state)
{
    (void)state;
    const struct bh_networks networks = networks_of(
        " 10.0.0.0/8,192.0.2.128/25 , 203.0.113.9,fd00::/8,2001:db8::1,0.0.0.0/32 ");
    static const struct {
        const char *address;
        bool is_in;
    } cases[] = {
        { "10.255.1.2", true },   { "11.0.0.1", false },    { "192.0.2.127", false },
        { "192.0.2.128", true },  { "192.0.2.255", true },  { "203.0.113.9", true },
        { "203.0.113.8", false }, { "fdff::1", true },      { "fe00::1", false },
        { "2001:db8::1", true },  { "2001:db8::2", false }, { "::ffff:10.1.1.1", true },
        { "::10.1.1.1", false },  { "0.0.0.0", true },      { "::", false },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct bh_address address = address_of(cases[i].address);
        if (bh_networks_have(&networks, &address) != cases[i].is_in)
            fail_msg("%s", cases[i].address);
    }
    assert_int_equal(networks_of("").count, 0);
    const struct bh_networks all = networks_of("0.0.0.0/0, ::/0");
    const struct bh_address any = address_of("198.51.100.1");
    assert_true(bh_networks_have(&all, &any));
}

static void refuses_what_is_no_network(void **const state)
{
    (void)state;
    static const char *const texts[] = {
        "10.0.0.0/33",   "10.0.0.0/-1", "10.0.0.0/",  "10.0.0/8",   "fd00::/129",
        "proxy.example", "10.0.0.1,,",  "10.0.0.1;1", "10.0.0.1/a", "[::1]",
        "fe80::1%eth0",  "1.2.3.4:80",  ",",          "/8",         "10.0.0.0/8/8",
    };
    for (size_t i = 0; i < BH_COUNT_OF(texts); i++) {
        struct bh_networks networks = { .count = 7 };
        struct bh_error error = { 0 };
        if (bh_networks_parse("TRUSTED_PROXIES", bh_str_from(texts[i]), &networks, &error) !=
            BH_EINVAL)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(networks.count, 7);
        assert_non_null(strstr(error.message, "TRUSTED_PROXIES"));
        assert_non_null(strstr(error.message, "10.0.0.0/8"));
    }
}

static void finds_the_rightmost_address_that_is_not_trusted(void **const state)
{
    (void)state;
    const struct bh_networks trusted = networks_of("10.0.0.0/8, fd00::/8");
    static const struct {
        const char *peer, *hops, *client;
    } cases[] = {
        { "10.0.0.1", "", "10.0.0.1" },
        { "10.0.0.1", "192.0.2.7", "192.0.2.7" },
        { "10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7" },
        { "10.0.0.1", "192.0.2.7,10.0.0.2 ,\t10.0.0.3", "192.0.2.7" },
        { "10.0.0.1", "192.0.2.7:4711", "192.0.2.7" },
        { "10.0.0.1", "2001:db8::7", "2001:db8::7" },
        { "10.0.0.1", "[2001:db8::7]", "2001:db8::7" },
        { "10.0.0.1", "[2001:db8::7]:443", "2001:db8::7" },
        { "fd00::1", "::ffff:192.0.2.7", "192.0.2.7" },
        { "10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9" }, /* all trusted: the farthest */
        /* Written by the client: left of the first that is not trusted. */
        { "10.0.0.1", "127.0.0.1, 192.0.2.7", "192.0.2.7" },
        { "10.0.0.1", "198.51.100.1, 10.0.0.5, 192.0.2.7, 10.0.0.2", "192.0.2.7" },
        /* A peer that is no proxy may write what it likes. */
        { "192.0.2.7", "198.51.100.1", "192.0.2.7" },
        { "192.0.2.7", "10.0.0.1", "192.0.2.7" },
        /* What cannot be read: whoever reported it stands for it. */
        { "10.0.0.1", "unknown", "10.0.0.1" },
        { "10.0.0.1", "192.0.2.7, unknown, 10.0.0.2", "10.0.0.2" },
        { "10.0.0.1", "192.0.2.7,", "192.0.2.7" }, /* nothing follows the comma */
        { "10.0.0.1", "192.0.2.7, ,", "10.0.0.1" },
        { "10.0.0.1", ",", "10.0.0.1" },
        { "10.0.0.1", "192.0.2.7 10.0.0.2", "10.0.0.1" },
        { "10.0.0.1", "192.0.2.256", "10.0.0.1" },
        { "10.0.0.1", "0300.0.2.7", "10.0.0.1" },
        { "10.0.0.1", "[2001:db8::7", "10.0.0.1" },
        { "10.0.0.1", "[2001:db8::7]x", "10.0.0.1" },
        { "10.0.0.1", "fe80::1%eth0", "10.0.0.1" },
        { "10.0.0.1", "\"192.0.2.7\"", "10.0.0.1" },
        { "10.0.0.1", "192.0.2.7\xff", "10.0.0.1" },
        { "10.0.0.1", ":::::", "10.0.0.1" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct bh_address peer = address_of(cases[i].peer);
        const struct bh_address expected = address_of(cases[i].client);
        const struct bh_address client = bh_client_address(&trusted, BH_FORWARDED_FOR, &peer,
                                                           bh_str_from(cases[i].hops));
        if (memcmp(&client, &expected, sizeof(client)) != 0)
            fail_msg("%s | %s", cases[i].peer, cases[i].hops);
    }
}

static void reads_forwarded_elements(void **const state)
{
    (void)state;
    const struct bh_networks trusted = networks_of("10.0.0.0/8");
    static const char *const cases[][2] = {
        { "for=192.0.2.7", "192.0.2.7" },
        { "For=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7" },
        { "proto=https; for=\"192.0.2.7:4711\"", "192.0.2.7" },
        { "for=\"[2001:db8::7]:4711\", for=10.0.0.2", "2001:db8::7" },
        { "for=198.51.100.1, for=192.0.2.7;by=\"a,b\", for=10.0.0.2", "192.0.2.7" },
        { "for=198.51.100.1, by=\"x\\\", for=198.51.100.2;\";for=192.0.2.7", "192.0.2.7" },
        { "for=192.0.2.7, for=unknown", "10.0.0.1" },
        { "for=192.0.2.7, for=_hidden", "10.0.0.1" },
        { "for=192.0.2.7, proto=https", "10.0.0.1" },
        { "for=", "10.0.0.1" },
        { "192.0.2.7", "10.0.0.1" },
        { "for=\"192.0.2.7", "10.0.0.1" },
        { "for=192.0.2.7\"", "10.0.0.1" },
        { "for=\"192.0.2.7, for=10.0.0.2", "10.0.0.1" },
        { "for=192.0.2.7;for=198.51.100.1", "192.0.2.7" },
    };
    for (size_t i = 0; i < BH_COUNT_OF(cases); i++) {
        const struct bh_address peer = address_of("10.0.0.1");
        const struct bh_address expected = address_of(cases[i][1]);
        const struct bh_address client = bh_client_address(&trusted, BH_FORWARDED_RFC7239, &peer,
                                                           bh_str_from(cases[i][0]));
        if (memcmp(&client, &expected, sizeof(client)) != 0)
            fail_msg("%s", cases[i][0]);
    }
}

static void follows_a_bounded_number_of_proxies(void **const state)
{
    (void)state;
    const struct bh_networks trusted = networks_of("10.0.0.0/8");
    struct bh_buf hops;
    bh_buf_init(&hops, 4096);
    bh_buf_append_str(&hops, BH_STR("192.0.2.7"));
    for (unsigned i = 0; i < 2 * BH_HOPS_MAX; i++)
        bh_buf_append_str(&hops, BH_STR(", 10.0.0.2"));
    const struct bh_address peer = address_of("10.0.0.1"), expected = address_of("10.0.0.2");
    const struct bh_address client = bh_client_address(&trusted, BH_FORWARDED_FOR, &peer,
                                                       bh_buf_peek(&hops));
    assert_memory_equal(&client, &expected, sizeof(client));
    bh_buf_fini(&hops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_client_is_an_address_or_a_network_of_64_bits),
        cmocka_unit_test(reads_networks),
        cmocka_unit_test(refuses_what_is_no_network),
        cmocka_unit_test(finds_the_rightmost_address_that_is_not_trusted),
        cmocka_unit_test(reads_forwarded_elements),
        cmocka_unit_test(follows_a_bounded_number_of_proxies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
