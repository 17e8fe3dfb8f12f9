/*
 * The script goes by Redis' own clock: it is the one clock that all servers have in common.
 * Monotonic clocks of two machines cannot be compared, and wall clocks that differ by a second
 * would give one server's clients a second's quota more. It is sent whole only when Redis does not
 * know it: after a start or a SCRIPT FLUSH.
 */
#include "runtime/rate_store.h"

#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"

#define STORE_MAGIC 0x52535452u
#define PAUSE_US BH_SECOND_US
#define KEY_SIZE 160
#define NUMBER_SIZE 21

/* For each key its interval and its largest debt; returns for each whether it has room, and its
 * debt afterwards. A debt beyond the largest comes from a clock that was set back: it is cut. Keys
 * go by themselves when the quota is whole. */
static const char script[] =
    "local time = redis.call('TIME') "
    "local now = time[1] * 1000000 + time[2] "
    "local result, debts, allowed = {}, {}, true "
    "for i, key in ipairs(KEYS) do "
    "  local interval, largest = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]) "
    "  local debt = (tonumber(redis.call('GET', key) or 0) or 0) - now "
    "  debts[i] = math.max(0, math.min(debt, largest)) "
    "  local has_room = debts[i] + interval <= largest "
    "  allowed = allowed and has_room "
    "  result[2 * i - 1] = has_room and 1 or 0 "
    "end "
    "for i, key in ipairs(KEYS) do "
    "  if allowed then "
    "    debts[i] = debts[i] + tonumber(ARGV[2 * i - 1]) "
    "    redis.call('SET', key, string.format('%.0f', now + debts[i]), "
    "               'PX', math.ceil(debts[i] / 1000)) "
    "  end "
    "  result[2 * i] = debts[i] "
    "end "
    "return result";

struct bh_rate_store {
    BH_MAGIC_FIELD;
    struct bh_redis *redis;
    uint64_t wait_us;
    char sha1[2 * SHA_DIGEST_LENGTH + 1];
    atomic_bool is_failing;
    atomic_uint_fast64_t next_try_us; /* while it fails */
};

/* ---- Life ---- */

int bh_rate_store_create(struct bh_redis *const redis, const uint64_t wait_us,
                         struct bh_rate_store **const ret_store)
{
    struct bh_rate_store *const store = calloc(1, sizeof(*store));
    unsigned char digest[SHA_DIGEST_LENGTH];
    if (!store)
        return BH_ENOMEM;
    store->magic = STORE_MAGIC;
    store->redis = redis;
    store->wait_us = wait_us;
    SHA1((const unsigned char *)script, sizeof(script) - 1, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(store->sha1 + 2 * i, 3, "%02x", digest[i]);
    *ret_store = store;
    return 0;
}

void bh_rate_store_destroy(struct bh_rate_store *const store)
{
    if (!store)
        return;
    bh_magic_check(store, STORE_MAGIC);
    store->magic = 0;
    free(store);
}

/* ---- Asking ---- */

struct question {
    char keys[BH_RATE_STORE_LIMITS_MAX][KEY_SIZE];
    char numbers[2 * BH_RATE_STORE_LIMITS_MAX][NUMBER_SIZE];
    struct bh_str arguments[3 + 3 * BH_RATE_STORE_LIMITS_MAX];
    size_t count;
};

static void add_number(struct question *const question, char buffer[NUMBER_SIZE],
                       const uint64_t value)
{
    snprintf(buffer, NUMBER_SIZE, "%llu", (unsigned long long)value);
    question->arguments[question->count++] = bh_str_from(buffer);
}

/* The braces keep a client's keys together where keys are spread over servers. */
static void make_question(struct question *const question, const struct bh_str key,
                          const struct bh_rate_store_limit *const limits, const unsigned count)
{
    question->count = 2;
    question->arguments[question->count++] = count == 1 ? BH_STR("1") : BH_STR("2");
    for (unsigned i = 0; i < count; i++) {
        const int size = snprintf(question->keys[i], KEY_SIZE, "bulkhead:rate:{%.*s}:%s",
                                  BH_STR_ARGS(key), limits[i].name);
        bh_assert(size > 0 && size < KEY_SIZE);
        question->arguments[question->count++] = bh_str_from(question->keys[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        const uint64_t interval_us = bh_limiter_interval_us(limits[i].quota);
        add_number(question, question->numbers[2 * i], interval_us);
        add_number(question, question->numbers[2 * i + 1], interval_us * limits[i].quota->count);
    }
}

static int ask(const struct bh_rate_store *const store, struct question *const question,
               redisReply **const ret_reply, struct bh_error *const reterr)
{
    const uint64_t until_us = bh_time_now_us() + store->wait_us;
    question->arguments[0] = BH_STR("EVALSHA");
    question->arguments[1] = bh_str_from(store->sha1);
    const int result = bh_redis_command(store->redis, question->arguments, question->count,
                                        until_us, ret_reply, reterr);
    if (result != BH_ENOTFOUND)
        return result;
    question->arguments[0] = BH_STR("EVAL");
    question->arguments[1] = bh_str_from(script);
    return bh_redis_command(store->redis, question->arguments, question->count, until_us, ret_reply,
                            reterr);
}

static int take_answer(const redisReply *const reply, struct bh_rate_store_limit *const limits,
                       const unsigned count, struct bh_error *const reterr)
{
    bool is_well = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 * (size_t)count;
    for (size_t i = 0; is_well && i < reply->elements; i++)
        is_well = reply->element[i]->type == REDIS_REPLY_INTEGER && reply->element[i]->integer >= 0;
    if (!is_well)
        return bh_error_set(reterr, BH_EIO, "its answer is not that of the limits' script");
    for (unsigned i = 0; i < count; i++)
        limits[i].verdict = bh_limiter_verdict_of(limits[i].quota,
                                                  reply->element[2 * i]->integer == 1,
                                                  (uint64_t)reply->element[2 * i + 1]->integer, 1);
    return 0;
}

/* Whether this request is the one that tries. */
static bool may_ask(struct bh_rate_store *const store)
{
    if (!atomic_load_explicit(&store->is_failing, memory_order_relaxed))
        return true;
    const uint64_t now_us = bh_time_now_us();
    uint_fast64_t next_us = atomic_load_explicit(&store->next_try_us, memory_order_relaxed);
    return now_us >= next_us &&
           atomic_compare_exchange_strong(&store->next_try_us, &next_us, now_us + PAUSE_US);
}

static void has_failed(struct bh_rate_store *const store, const struct bh_error *const error)
{
    atomic_store(&store->next_try_us, bh_time_now_us() + PAUSE_US);
    if (!atomic_exchange(&store->is_failing, true))
        bh_log_warning("limits",
                       "The shared rate limits do not answer (%s): this server's own limits serve",
                       error->message);
}

static void has_answered(struct bh_rate_store *const store)
{
    if (atomic_load_explicit(&store->is_failing, memory_order_relaxed) &&
        atomic_exchange(&store->is_failing, false))
        bh_log_info("limits", "The rate limits are shared again by Redis at %s",
                    bh_redis_name(store->redis));
}

int bh_rate_store_take(struct bh_rate_store *const store, const struct bh_str key,
                       struct bh_rate_store_limit *const limits, const unsigned count,
                       struct bh_error *const reterr)
{
    bh_magic_check(store, STORE_MAGIC);
    bh_assert(count >= 1 && count <= BH_RATE_STORE_LIMITS_MAX);
    if (!may_ask(store))
        return bh_error_set(reterr, BH_EBUSY, "it failed a moment ago");
    struct question question;
    struct bh_error error = { 0 };
    redisReply *reply BH_CLEANUP(bh_redis_reply_cleanup) = NULL;
    make_question(&question, key, limits, count);
    int result = ask(store, &question, &reply, &error);
    if (result == 0)
        result = take_answer(reply, limits, count, &error);
    if (result == 0)
        has_answered(store);
    else if (result != BH_ECANCELED) /* the client has left: that says nothing of the store */
        has_failed(store, &error);
    if (result && reterr)
        *reterr = error;
    return result;
}
