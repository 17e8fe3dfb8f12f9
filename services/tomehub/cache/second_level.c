#include "cache/second_level.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>

#include "bulkhead/base/time.h"

#define BH_METRICS_FILE "cache/second_level_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define GET_BUDGET_US 5000
#define PUT_BUDGET_US 5000
#define COMPRESSED_FROM 4096 /* bytes of the answer */
#define COMPRESSION 1        /* zlib's quickest */
#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define NAME_SIZE 128

enum form { FORM_PLAIN = 1, FORM_ZLIB = 2 };

struct head {
    uint32_t form, key_size, answer_size;
};

static bh_metric hits, misses, failures, stored;

static void register_metrics(void)
{
    static const char *const results[] = { "hit", "miss", "failed", "stored" };
    bh_metric *const metrics[] = { &hits, &misses, &failures, &stored };
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (size_t i = 0; i < BH_COUNT_OF(results); i++)
        *metrics[i] = bh_metrics_child(&metric_families[METRIC_requests], &results[i], 1);
}

static void count(const bh_metric *const metric)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_metrics);
    bh_metrics_add(*metric, 1);
}

/* ---- Packing ---- */

/* The answer compressed, in place of the plain one if that is shorter. */
static bool compress_into(struct bh_buf *const buf, const struct bh_str answer)
{
    uLongf size = compressBound(answer.size);
    char *const room = bh_buf_reserve(buf, size);
    if (room == NULL || compress2((Bytef *)room, &size, (const Bytef *)answer.data, answer.size,
                                  COMPRESSION) != Z_OK)
        return false;
    bh_buf_advance(buf, size);
    return true;
}

void tome_second_level_pack(struct bh_buf *const buf, const struct bh_str key,
                            const struct bh_str answer)
{
    const bool is_compressed = answer.size >= COMPRESSED_FROM;
    const struct head head = { .form = is_compressed ? FORM_ZLIB : FORM_PLAIN,
                               .key_size = (uint32_t)key.size,
                               .answer_size = (uint32_t)answer.size };
    bh_buf_append(buf, &head, sizeof(head));
    bh_buf_append_str(buf, key);
    if (!is_compressed || !compress_into(buf, answer))
        bh_buf_append_str(buf, is_compressed ? BH_STR("") : answer);
}

struct bh_cache_value *tome_second_level_unpack(const struct bh_str packed, const struct bh_str key)
{
    struct head head;
    if (packed.size < sizeof(head))
        return NULL;
    memcpy(&head, packed.data, sizeof(head));
    const struct bh_str rest = { packed.data + sizeof(head), packed.size - sizeof(head) };
    if (head.key_size != key.size || rest.size < key.size ||
        memcmp(rest.data, key.data, key.size) != 0 || head.answer_size > ANSWER_BYTES_MAX)
        return NULL;
    const struct bh_str body = { rest.data + key.size, rest.size - key.size };
    struct bh_buf answer BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&answer, ANSWER_BYTES_MAX);
    if (head.form == FORM_PLAIN && body.size == head.answer_size) {
        bh_buf_append_str(&answer, body);
        return bh_cache_value_take(&answer);
    }
    uLongf size = head.answer_size;
    char *const room = head.form == FORM_ZLIB ? bh_buf_reserve(&answer, size + 1) : NULL;
    if (room == NULL ||
        uncompress((Bytef *)room, &size, (const Bytef *)body.data, body.size) != Z_OK ||
        size != head.answer_size)
        return NULL;
    bh_buf_advance(&answer, size);
    return bh_cache_value_take(&answer);
}

/* ---- Redis ---- */

/* A key is up to 4 KB; its hash is the name, and what is kept carries the key. */
static struct bh_str name_of(const struct tome_library_state *const state, const struct bh_str key,
                             char name[NAME_SIZE])
{
    const XXH128_hash_t hash = XXH3_128bits(key.data, key.size);
    const int size = snprintf(
        name, NAME_SIZE, "tomehub:answer:%" PRId64 ":%" PRIx64 ":%016" PRIx64 "%016" PRIx64,
        state->generation, (uint64_t)state->stamp, (uint64_t)hash.high64, (uint64_t)hash.low64);
    return (struct bh_str){ name, (size_t)size };
}

bool tome_second_level_get(struct bh_redis *const redis,
                           const struct tome_library_state *const state, const struct bh_str key,
                           struct bh_cache_value **const ret_value)
{
    char name[NAME_SIZE];
    const struct bh_str arguments[] = { BH_STR("GET"), name_of(state, key, name) };
    redisReply *BH_CLEANUP(bh_redis_reply_cleanup) reply = NULL;
    if (bh_redis_is_down(redis) ||
        bh_redis_command(redis, arguments, BH_COUNT_OF(arguments), bh_time_now_us() + GET_BUDGET_US,
                         &reply, NULL) != 0) {
        count(&failures);
        return false;
    }
    struct bh_cache_value *const value = reply->type == REDIS_REPLY_STRING
                                             ? tome_second_level_unpack(
                                                   (struct bh_str){ reply->str, reply->len }, key)
                                             : NULL;
    count(value != NULL ? &hits : &misses);
    if (value == NULL)
        return false;
    *ret_value = value;
    return true;
}

void tome_second_level_put(struct bh_redis *const redis,
                           const struct tome_library_state *const state, const struct bh_str key,
                           const struct bh_cache_value *const value, const uint64_t ttl_us)
{
    const struct bh_str answer = bh_cache_value_peek(value);
    if (answer.size > ANSWER_BYTES_MAX || bh_redis_is_down(redis))
        return;
    struct bh_buf packed BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&packed, 2 * ANSWER_BYTES_MAX);
    tome_second_level_pack(&packed, key, answer);
    char name[NAME_SIZE], milliseconds[24];
    const int size = snprintf(milliseconds, sizeof(milliseconds), "%" PRIu64,
                              ttl_us / BH_MS_US > 0 ? ttl_us / BH_MS_US : 1);
    const struct bh_str arguments[] = { BH_STR("SET"),
                                        name_of(state, key, name),
                                        bh_buf_peek(&packed),
                                        BH_STR("PX"),
                                        { milliseconds, (size_t)size } };
    redisReply *BH_CLEANUP(bh_redis_reply_cleanup) reply = NULL;
    const int result = bh_buf_error(&packed) == 0
                           ? bh_redis_command(redis, arguments, BH_COUNT_OF(arguments),
                                              bh_time_now_us() + PUT_BUDGET_US, &reply, NULL)
                           : bh_buf_error(&packed);
    count(result == 0 ? &stored : &failures);
}
