#include "http/http_loop.h"

#include <stdlib.h>
#include <time.h>

#include "bulkhead/base/time.h"
#include "http/connection.h"

#define POOLED_BUFFERS_MAX 128
#define POOLED_REQUESTS_MAX 256
#define BODY_ROOM_BYTES 4096
#define ANSWER_HEAD_MAX 65536
#define TARGET_MAXIMUM 8192
#define LEAVING_US (25 * BH_MS_US)
#define LINGER_US (3 * BH_SECOND_US)
#define WATCH_US (200 * BH_MS_US)
#define BODY_CHECK_US (1 * BH_SECOND_US)

/* ---- Pools ---- */

static void *pool_take(struct bh_http_pool *const pool)
{
    void *const object = pool->first;
    if (object) {
        memcpy(&pool->first, object, sizeof(pool->first));
        pool->count--;
    }
    return object;
}

/* false: it has enough. */
static bool pool_put(struct bh_http_pool *const pool, void *const object)
{
    if (pool->count >= pool->maximum)
        return false;
    memcpy(object, &pool->first, sizeof(pool->first));
    pool->first = object;
    pool->count++;
    return true;
}

char *bh_http_buffer_take(struct bh_http_loop *const http)
{
    char *const buffer = pool_take(&http->buffers);
    return buffer ? buffer : malloc(http->buffer_bytes);
}

void bh_http_buffer_give_back(struct bh_http_loop *const http, char *const buffer)
{
    if (!pool_put(&http->buffers, buffer))
        free(buffer);
}

static void request_destroy(struct bh_request *const request)
{
    if (!request)
        return;
    bh_arena_destroy(request->arena);
    bh_buf_fini(&request->answer.fields);
    bh_buf_fini(&request->answer.stream);
    free(request);
}

static struct bh_request *request_create(const struct bh_http_loop *const http)
{
    struct bh_request *const request = calloc(1, sizeof(*request));
    if (!request || bh_arena_create(http->options->arena_maximum, &request->arena) < 0) {
        request_destroy(request);
        return NULL;
    }
    request->magic = BH_REQUEST_MAGIC;
    bh_buf_init(&request->answer.fields, ANSWER_HEAD_MAX / 2);
    return request;
}

struct bh_request *bh_http_request_take(struct bh_http_loop *const http)
{
    struct bh_request *request = pool_take(&http->requests);
    if (!request)
        request = request_create(http);
    if (!request)
        return NULL;
    request->http = http;
    request->match.route = NULL;
    request->match.allow = NULL;
    request->peer[0] = '\0';
    bh_head_init(&request->head);
    bh_metrics_add(http->metrics.in_flight, 1);
    return request;
}

void bh_http_request_give_back(struct bh_http_loop *const http, struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    bh_metrics_add(http->metrics.in_flight, -1);
    bh_deadline_stop(&request->answer.silence);
    struct bh_arena *const arena = request->arena;
    struct bh_buf fields = request->answer.fields;
    bh_arena_reset(arena);
    bh_buf_clear(&fields);
    if (request->body.gathered.data)
        bh_buf_fini(&request->body.gathered);
    if (request->answer.stream.data)
        bh_buf_fini(&request->answer.stream);
    memset(request, 0, offsetof(struct bh_request, match));
    request->magic = BH_REQUEST_MAGIC;
    request->arena = arena;
    request->answer.fields = fields;
    if (!pool_put(&http->requests, request))
        request_destroy(request);
}

/* ---- Texts ---- */

struct bh_str bh_http_date(struct bh_http_loop *const http)
{
    const uint64_t now_us = bh_loop_now_us(http->loop);
    if (now_us >= http->date_until_us) {
        const int64_t wall_us = bh_time_wall_us();
        const time_t seconds = (time_t)(wall_us / (int64_t)BH_SECOND_US);
        struct tm parts;
        gmtime_r(&seconds, &parts);
        /* The "C" locale's names are the ones HTTP wants; no other is ever set. */
        strftime(http->date, sizeof(http->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        http->date_until_us = now_us + BH_SECOND_US - (uint64_t)(wall_us % (int64_t)BH_SECOND_US);
    }
    return (struct bh_str){ http->date, BH_HTTP_DATE_BYTES };
}

/* A counter, scrambled by a bijection (the finalizer of SplitMix64) so that ids look alike to
 * nobody's index and still never repeat. */
uint64_t bh_http_random(struct bh_http_loop *const http)
{
    http->random_state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t bits = http->random_state;
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94D049BB133111EB);
    return bits ^ (bits >> 31);
}

void bh_http_id(struct bh_http_loop *const http, char id[BH_HTTP_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t bits = bh_http_random(http);
    for (int i = 0; i < BH_HTTP_ID_BYTES; i++, bits >>= 4)
        id[i] = digits[bits & 15];
}

/* ---- Beginning and end ---- */

static void flush_streams(uv_idle_t *const handle)
{
    struct bh_http_loop *const http = handle->data;
    uv_idle_stop(handle);
    for (struct bh_list *node; (node = bh_list_pop(&http->unflushed));) {
        struct bh_connection *const connection = BH_LIST_ENTRY(node, struct bh_connection,
                                                               unflushed);
        bh_magic_check(connection, BH_CONNECTION_MAGIC);
        /* A failure has closed the connection, which cancels the handler. */
        if (connection->request && bh_stream_flush(connection->request) < 0)
            continue;
    }
}

void bh_http_flush_soon(struct bh_http_loop *const http)
{
    uv_idle_start(&http->flush, flush_streams);
}

static void set_deadlines(struct bh_http_loop *const http)
{
    static const uint64_t fixed_us[BH_DEADLINE_KINDS] = {
        [BH_DEADLINE_BODY] = BODY_CHECK_US,
        [BH_DEADLINE_WATCH] = WATCH_US,
        [BH_DEADLINE_LEAVING] = LEAVING_US,
        [BH_DEADLINE_LINGER] = LINGER_US,
    };
    const struct bh_http_options *const options = http->options;
    bh_deadlines_init(&http->deadlines, http->loop);
    for (int kind = 0; kind < BH_DEADLINE_KINDS; kind++)
        bh_deadlines_set(&http->deadlines, (enum bh_deadline_kind)kind, fixed_us[kind],
                         bh_connection_deadline_expired);
    bh_deadlines_set(&http->deadlines, BH_DEADLINE_HEAD, options->head_timeout_us,
                     bh_connection_deadline_expired);
    bh_deadlines_set(&http->deadlines, BH_DEADLINE_IDLE, options->idle_timeout_us,
                     bh_connection_deadline_expired);
    bh_deadlines_set(&http->deadlines, BH_DEADLINE_DEFERRED, options->defer_us,
                     bh_connection_deadline_expired);
    bh_deadlines_set(&http->deadlines, BH_DEADLINE_SILENCE, options->heartbeat_us,
                     bh_stream_silence_expired);
    /* Looked at four times a time-out, so that it is kept to within a quarter. */
    bh_deadlines_set(&http->deadlines, BH_DEADLINE_WRITE, options->write_timeout_us / 4,
                     bh_connection_write_deadline_expired);
}

void bh_http_loop_init(struct bh_http_loop *const http, const uint64_t id_seed)
{
    http->magic = BH_HTTP_LOOP_MAGIC;
    http->random_state = id_seed;
    http->limits = (struct bh_head_limits){
        .bytes_maximum = http->options->head_maximum,
        .target_maximum = http->options->head_maximum < TARGET_MAXIMUM ? http->options->head_maximum
                                                                       : TARGET_MAXIMUM,
        .fields_maximum = http->options->headers_maximum,
    };
    http->buffer_bytes = http->options->head_maximum + BODY_ROOM_BYTES;
    http->buffers.maximum = POOLED_BUFFERS_MAX;
    http->requests.maximum = POOLED_REQUESTS_MAX;
    bh_list_init(&http->connections);
    bh_list_init(&http->unflushed);
    bh_buf_init(&http->head, ANSWER_HEAD_MAX);
    bh_http_metrics_init(&http->metrics);
    set_deadlines(http);
    uv_idle_init(bh_loop_uv(http->loop), &http->flush);
    http->flush.data = http;
    if (http->tls)
        bh_transport_tls_start(http->tls, bh_loop_uv(http->loop));
}

void bh_http_loop_fini(struct bh_http_loop *const http)
{
    for (char *buffer; (buffer = pool_take(&http->buffers));)
        free(buffer);
    for (struct bh_request *request; (request = pool_take(&http->requests));)
        request_destroy(request);
    bh_buf_fini(&http->head);
    bh_transport_tls_destroy(http->tls);
    http->magic = 0;
}
