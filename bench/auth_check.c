/*
 * What it costs to know who sends a request: a key among KEYS others (form, SHA-256, look-up), and
 * a token of 900 bytes that was verified before.
 *
 *     auth_check [ROUNDS]
 *
 * Prints nanoseconds of processor time of one check: the median of nine rounds, on one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/base/assert.h"
#include "runtime/auth_key.h"
#include "runtime/auth_keyring.h"
#include "runtime/auth_tokens.h"

#define KEYS 10000
#define REPEATS 9
#define TOKEN_BYTES 900
#define TOKENS 256

static struct bh_auth_keyring *ring;
static struct bh_auth_tokens *tokens;
static struct bh_auth_new_key keys[KEYS];
static char texts[TOKENS][TOKEN_BYTES];

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void check_key(const unsigned i)
{
    const struct bh_str text = { keys[i * 7919 % KEYS].text, BH_AUTH_KEY_BYTES };
    uint64_t number = 0;
    uint8_t hash[BH_AUTH_HASH_BYTES];
    struct bh_principal principal;
    bh_assert(bh_auth_key_parse(text, &number) == 0 && bh_auth_hash(text, hash) == 0);
    bh_assert(bh_auth_keyring_check(ring, number, hash, 1, &principal) == BH_AUTH_KEY_VALID);
}

static void check_token(const unsigned i)
{
    const struct bh_str text = { texts[i % TOKENS], TOKEN_BYTES };
    uint8_t hash[BH_AUTH_HASH_BYTES];
    struct bh_principal principal;
    bh_assert(bh_auth_hash(text, hash) == 0);
    bh_assert(bh_auth_tokens_find(tokens, hash, 1, &principal));
}

static void prepare(void)
{
    const struct bh_principal somebody = { .user = 1 };
    bh_assert(bh_auth_keyring_create(KEYS, &ring) == 0 && bh_auth_tokens_create(&tokens) == 0);
    for (size_t i = 0; i < KEYS; i++) {
        bh_assert(bh_auth_key_make(&keys[i]) == 0);
        const struct bh_auth_key key = { .id = bh_str_from(keys[i].id),
                                         .hash = { (const char *)keys[i].hash, BH_AUTH_HASH_BYTES },
                                         .user = 1 };
        bh_assert(bh_auth_keyring_put(ring, &key, NULL) == 0);
    }
    for (unsigned i = 0; i < TOKENS; i++) {
        uint8_t hash[BH_AUTH_HASH_BYTES];
        memset(texts[i], 'a', TOKEN_BYTES);
        memcpy(texts[i], &i, sizeof(i));
        bh_assert(bh_auth_hash((struct bh_str){ texts[i], TOKEN_BYTES }, hash) == 0);
        bh_auth_tokens_put(tokens, hash, 2, 0, &somebody);
    }
}

static int compare(const void *const one, const void *const two)
{
    const double a = *(const double *)one, b = *(const double *)two;
    return (a > b) - (a < b);
}

static void measure(const char *const name, void (*const check)(unsigned), const unsigned rounds)
{
    double times[REPEATS];
    for (size_t repeat = 0; repeat < REPEATS; repeat++) {
        const uint64_t begun_ns = cpu_ns();
        for (unsigned i = 0; i < rounds; i++)
            check(i);
        times[repeat] = (double)(cpu_ns() - begun_ns) / rounds;
    }
    qsort(times, REPEATS, sizeof(times[0]), compare);
    printf("%-6s %.0f ns\n", name, times[REPEATS / 2]);
}

int main(const int argc, char **const argv)
{
    const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
    bh_assert(rounds > 0 && rounds < INT32_MAX);
    prepare();
    measure("key", check_key, (unsigned)rounds);
    measure("token", check_token, (unsigned)rounds);
    bh_auth_tokens_destroy(tokens);
    bh_auth_keyring_destroy(ring);
    return 0;
}
