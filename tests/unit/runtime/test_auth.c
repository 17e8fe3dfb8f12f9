/* Keys: their text, the ring they are looked up in; tokens remembered; what one load serves. */
#include "cmocka_setup.h"

#include "in_fiber.h"
#include "runtime/auth_fetch.h"
#include "runtime/auth_key.h"
#include "runtime/auth_keyring.h"
#include "runtime/auth_refresh.h"
#include "runtime/auth_tokens.h"

#define NOW INT64_C(1000000)

static struct bh_auth_key key_of(const struct bh_auth_new_key *const made, const int64_t user)
{
    return (struct bh_auth_key){ .id = bh_str_from(made->id),
                                 .hash = { (const char *)made->hash, sizeof(made->hash) },
                                 .user = user,
                                 .scopes = BH_SCOPE_READ };
}

static enum bh_auth_key_state check(struct bh_auth_keyring *const ring, const char *const text,
                                    struct bh_principal *const principal)
{
    uint64_t number = 0;
    uint8_t hash[BH_AUTH_HASH_BYTES];
    assert_int_equal(bh_auth_key_parse(bh_str_from(text), &number), 0);
    assert_int_equal(bh_auth_hash(bh_str_from(text), hash), 0);
    return bh_auth_keyring_check(ring, number, hash, NOW, principal);
}

static void test_text(void **state)
{
    struct bh_auth_new_key key, other;
    uint64_t number = 0;
    (void)state;
    assert_int_equal(bh_auth_key_make(&key), 0);
    assert_int_equal(bh_auth_key_make(&other), 0);
    assert_string_not_equal(key.text, other.text);
    assert_int_equal(strlen(key.text), BH_AUTH_KEY_BYTES);
    assert_int_equal(bh_auth_key_parse(bh_str_from(key.text), &number), 0);
    for (size_t i = 0; i < BH_AUTH_KEY_BYTES; i++) { /* no byte may be anything else */
        const char before = key.text[i];
        key.text[i] = 'G';
        assert_int_equal(bh_auth_key_parse(bh_str_from(key.text), &number), BH_ESYNTAX);
        key.text[i] = before;
        assert_int_equal(bh_auth_key_parse((struct bh_str){ key.text, i }, &number), BH_ESYNTAX);
    }
    bh_auth_key_wipe(&key);
    assert_int_equal(key.text[0], 0);
    assert_int_equal(key.hash[5], 0);
}

static void test_ring(void **state)
{
    struct bh_auth_keyring *ring = NULL;
    struct bh_auth_new_key keys[300];
    struct bh_principal principal = { 0 };
    (void)state;
    assert_int_equal(bh_auth_keyring_create(300, &ring), 0);
    for (size_t i = 0; i < BH_COUNT_OF(keys); i++) {
        assert_int_equal(bh_auth_key_make(&keys[i]), 0);
        assert_int_equal(check(ring, keys[i].text, &principal), BH_AUTH_KEY_UNKNOWN);
        const struct bh_auth_key key = key_of(&keys[i], (int64_t)i + 1);
        assert_int_equal(bh_auth_keyring_put(ring, &key, NULL), 0);
    }
    for (size_t i = 0; i < BH_COUNT_OF(keys); i++) {
        assert_int_equal(check(ring, keys[i].text, &principal), BH_AUTH_KEY_VALID);
        assert_int_equal(principal.user, i + 1);
        assert_int_equal(principal.scopes, BH_SCOPE_READ);
        assert_int_equal(strlen(principal.tenant), BH_TENANT_BYTES);
    }
    struct bh_auth_new_key more;
    assert_int_equal(bh_auth_key_make(&more), 0);
    const struct bh_auth_key past = key_of(&more, 1);
    assert_int_equal(bh_auth_keyring_put(ring, &past, NULL), BH_ELIMIT);
    assert_int_equal(bh_auth_keyring_count(ring), 300);
    bh_auth_keyring_destroy(ring);
}

static void test_states(void **state)
{
    struct bh_auth_keyring *ring = NULL;
    struct bh_auth_new_key made;
    struct bh_principal principal = { .user = 77 };
    (void)state;
    assert_int_equal(bh_auth_keyring_create(10, &ring), 0);
    assert_int_equal(bh_auth_key_make(&made), 0);
    struct bh_auth_key key = key_of(&made, 5);
    key.expires_us = NOW;
    assert_int_equal(bh_auth_keyring_put(ring, &key, NULL), 0);
    assert_int_equal(check(ring, made.text, &principal), BH_AUTH_KEY_EXPIRED);
    key.expires_us = NOW + 1;
    assert_int_equal(bh_auth_keyring_put(ring, &key, NULL), 0);
    assert_int_equal(check(ring, made.text, &principal), BH_AUTH_KEY_VALID);
    key.is_revoked = true;
    assert_int_equal(bh_auth_keyring_put(ring, &key, NULL), 0);
    principal.user = 77;
    assert_int_equal(check(ring, made.text, &principal), BH_AUTH_KEY_REVOKED);
    made.text[BH_AUTH_KEY_BYTES - 1] = made.text[BH_AUTH_KEY_BYTES - 1] == '0' ? '1' : '0';
    assert_int_equal(check(ring, made.text, &principal), BH_AUTH_KEY_WRONG);
    assert_int_equal(principal.user, 77);
    key.user = 0;
    assert_int_equal(bh_auth_keyring_put(ring, &key, NULL), BH_EINVAL);
    bh_auth_keyring_destroy(ring);
}

static void test_tokens(void **state)
{
    struct bh_auth_tokens *tokens = NULL;
    const struct bh_principal ann = { .user = 7, .scopes = BH_SCOPE_READ };
    struct bh_principal found = { 0 };
    uint8_t hash[BH_AUTH_HASH_BYTES] = { 0 };
    (void)state;
    assert_int_equal(bh_auth_tokens_create(&tokens), 0);
    assert_false(bh_auth_tokens_find(tokens, hash, 0, &found));
    for (uint8_t i = 0; i < 6; i++) { /* six of one set: four stay, the last to expire */
        hash[31] = i;
        bh_auth_tokens_put(tokens, hash, 100 + i, 0, &ann);
    }
    size_t kept = 0;
    for (uint8_t i = 0; i < 6; i++) {
        hash[31] = i;
        kept += bh_auth_tokens_find(tokens, hash, 50, &found);
    }
    assert_int_equal(kept, 4);
    assert_int_equal(found.user, 7);
    assert_false(bh_auth_tokens_find(tokens, hash, 105, &found)); /* its time is over */
    bh_auth_tokens_clear(tokens);
    assert_false(bh_auth_tokens_find(tokens, hash, 50, &found));
    bh_auth_tokens_put(tokens, hash, 200, 0, &ann); /* verified with the keys of before */
    assert_false(bh_auth_tokens_find(tokens, hash, 50, &found));
    bh_auth_tokens_put(tokens, hash, 200, bh_auth_tokens_epoch(tokens), &ann);
    assert_true(bh_auth_tokens_find(tokens, hash, 50, &found));
    bh_auth_tokens_destroy(tokens);
}

/* ---- Refresh ---- */

struct loading {
    struct bh_auth_refresh refresh;
    unsigned loads, done;
    int result;
};

static int load(void *const argument, struct bh_error *const reterr)
{
    struct loading *const loading = argument;
    loading->loads++;
    const int waited = bh_fiber_sleep(5 * BH_MS_US);
    (void)reterr;
    return waited != 0 ? waited : loading->result;
}

static void ask(void *const argument)
{
    struct loading *const loading = argument;
    assert_int_equal(bh_auth_refresh_run(&loading->refresh, true, NULL), 0);
    loading->done++;
}

static void refresh_body(void *const argument)
{
    struct loading *const loading = argument;
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(bh_fiber_spawn(bh_loop_current(), ask, loading), 0);
    while (loading->done < 50)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    /* One for the first, one for all who asked while it ran. */
    assert_in_range(loading->loads, 1, 2);
    const unsigned before = loading->loads;
    loading->refresh.interval_us = 3600 * BH_SECOND_US;
    loading->result = BH_EUNAVAILABLE;
    assert_int_equal(bh_auth_refresh_run(&loading->refresh, true, NULL), BH_EUNAVAILABLE);
    assert_int_equal(bh_auth_refresh_run(&loading->refresh, false, NULL), BH_EBUSY);
    assert_int_equal(loading->loads, before + 1);
}

static void test_refresh(void **state)
{
    struct loading loading = { .refresh = { .load = load } };
    (void)state;
    loading.refresh.argument = &loading;
    in_fiber_run(refresh_body, &loading);
}

static void test_sources(void **state)
{
    (void)state;
    assert_int_equal(bh_auth_fetch_check("keys.json", NULL), 0);
    assert_int_equal(bh_auth_fetch_check("https://issuer.example/keys", NULL), 0);
    assert_int_equal(bh_auth_fetch_check("http://127.0.0.1:80/keys", NULL), 0);
    assert_int_equal(bh_auth_fetch_check("http://[::1]:80/keys", NULL), 0);
    assert_int_equal(bh_auth_fetch_check("http://issuer.example/keys", NULL), BH_EINVAL);
    assert_int_equal(bh_auth_fetch_check("http://127.0.0.1.example/keys", NULL), BH_EINVAL);
    assert_int_equal(bh_auth_fetch_check("http://127.0.0.1@example/keys", NULL), BH_EINVAL);
    assert_int_equal(bh_auth_fetch_check("http://localhost:x@example/keys", NULL), BH_EINVAL);
    assert_int_equal(bh_auth_fetch_check("file:///etc/passwd", NULL), BH_EINVAL);
}

static void test_scopes(void **state)
{
    struct bh_buf text;
    (void)state;
    bh_buf_init(&text, 100);
    assert_int_equal(bh_scopes_parse(BH_STR("read openid  write admins"), ' '),
                     BH_SCOPE_READ | BH_SCOPE_WRITE);
    assert_int_equal(bh_scopes_parse(BH_STR(""), ' '), 0);
    bh_scopes_write(BH_SCOPES_ALL, ',', &text);
    assert_true(bh_str_equal(bh_buf_peek(&text), BH_STR("read,write,admin")));
    bh_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_ring),
        cmocka_unit_test(test_states),  cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_refresh), cmocka_unit_test(test_sources),
        cmocka_unit_test(test_scopes)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
