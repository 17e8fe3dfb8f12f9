#include "redis/redis_connection.h"

#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"

#define PAUSE_FIRST_US (50 * BH_MS_US)
#define PAUSE_MOST_US (2 * BH_SECOND_US)

static void lose(struct bh_redis_connection *connection, const char *why);

/* ---- The timer: each state waits for one thing ---- */

static void start_timer(struct bh_redis_connection *connection, uint64_t after_us);

static struct bh_redis_pending *oldest(const struct bh_redis_connection *const connection)
{
    return &connection->pending[connection->first % connection->redis->pending_maximum];
}

static void lose_silent(struct bh_redis_connection *const connection, const uint64_t allowed_us)
{
    char why[64];
    snprintf(why, sizeof(why), "no answer within %llu ms",
             (unsigned long long)(allowed_us / BH_MS_US));
    lose(connection, why);
}

static void append_command(struct bh_buf *const buf, const struct bh_str *const arguments,
                           const size_t count)
{
    bh_buf_append_byte(buf, '*');
    bh_buf_append_int(buf, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        bh_buf_append_str(buf, BH_STR("\r\n$"));
        bh_buf_append_int(buf, (int64_t)arguments[i].size);
        bh_buf_append_str(buf, BH_STR("\r\n"));
        bh_buf_append_str(buf, arguments[i]);
    }
    bh_buf_append_str(buf, BH_STR("\r\n"));
}

/* Nobody asks a subscription anything, so it asks: is the server still there? */
static void ping_or_lose(struct bh_redis_connection *const connection)
{
    if (connection->awaits_pong) {
        lose_silent(connection, connection->redis->command_timeout_us);
        return;
    }
    static const struct bh_str ping = BH_STR("PING");
    connection->awaits_pong = true;
    append_command(&connection->out, &ping, 1);
    start_timer(connection, connection->redis->command_timeout_us);
    bh_redis_link_send(connection->link, &connection->out);
}

static void check_silence(struct bh_redis_connection *const connection)
{
    const uint64_t allowed_us = connection->redis->command_timeout_us;
    if (connection->listening) {
        ping_or_lose(connection);
        return;
    }
    if (connection->first == connection->next)
        return;
    const uint64_t until_us = oldest(connection)->sent_us + allowed_us;
    const uint64_t now_us = bh_loop_now_us(connection->loop);
    if (now_us >= until_us)
        lose_silent(connection, allowed_us);
    else
        start_timer(connection, until_us - now_us);
}

static void attempt(struct bh_redis_connection *connection);

static void timer_passed(uv_timer_t *const timer)
{
    struct bh_redis_connection *const connection = timer->data;
    switch (connection->state) {
    case BH_REDIS_CONNECTING:
    case BH_REDIS_GREETING:
        lose_silent(connection, connection->redis->connect_timeout_us);
        break;
    case BH_REDIS_READY:
        check_silence(connection);
        break;
    case BH_REDIS_PAUSING:
        attempt(connection);
        break;
    case BH_REDIS_CLOSED:
        break;
    }
}

static void start_timer(struct bh_redis_connection *const connection, const uint64_t after_us)
{
    uv_timer_start(&connection->timer, timer_passed, after_us / BH_MS_US + 1, 0);
}

/* ---- Losing it ---- */

static void end_call(struct bh_redis_call *const call)
{
    call->is_done = true;
    bh_fiber_wake(call->fiber);
}

static void fail_pending(struct bh_redis_connection *const connection)
{
    for (; connection->first != connection->next; connection->first++) {
        struct bh_redis_call *const call = oldest(connection)->call;
        if (!call)
            continue;
        call->error = connection->down;
        end_call(call);
    }
}

/* Full jitter: anything up to a pause that doubles. */
static uint64_t pause_us(struct bh_redis_connection *const connection)
{
    uint64_t most_us = PAUSE_MOST_US;
    if (connection->failures <= 6)
        most_us = PAUSE_FIRST_US << (connection->failures - 1);
    if (most_us > PAUSE_MOST_US)
        most_us = PAUSE_MOST_US;
    uint64_t z = (connection->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % (most_us + 1);
}

/* In order, whatever the loops do at the same time. */
static void tell_gate(struct bh_redis *const redis)
{
    const struct bh_redis_gate *const gate = redis->gate;
    if (!gate)
        return;
    pthread_mutex_lock(&redis->shared.mutex);
    gate->server(gate->argument, atomic_load(&redis->down) > 0);
    pthread_mutex_unlock(&redis->shared.mutex);
}

static void lose(struct bh_redis_connection *const connection, const char *const why)
{
    struct bh_redis *const redis = connection->redis;
    const bool was_ready = connection->state == BH_REDIS_READY;
    bh_redis_link_close(connection->link);
    connection->link = NULL;
    connection->state = BH_REDIS_PAUSING;
    connection->failures++;
    bh_error_set(&connection->down, BH_EUNAVAILABLE, "Redis at %s: %s", redis->address.name, why);
    bh_buf_clear(&connection->out);
    bh_list_unlink(&connection->turn_end.node);
    bh_metrics_add(was_ready ? redis->metrics.lost : redis->metrics.failed, 1);
    if (was_ready)
        bh_metrics_add(redis->metrics.open, -1);
    if (connection->failures == 1) {
        bh_metrics_add(redis->metrics.down, 1);
        if (atomic_fetch_add(&redis->down, 1) == 0)
            bh_log_warning("redis", "Redis at %s is down (%s): going on without it, trying again",
                           redis->address.name, why);
        tell_gate(redis);
    }
    start_timer(connection, pause_us(connection));
    fail_pending(connection);
    if (was_ready && connection->listening)
        connection->listening->lost(connection->listening->owner);
}

static void is_up(struct bh_redis_connection *const connection)
{
    struct bh_redis *const redis = connection->redis;
    if (connection->failures == 0)
        return;
    connection->failures = 0;
    bh_metrics_add(redis->metrics.down, -1);
    if (atomic_fetch_sub(&redis->down, 1) == 1)
        bh_log_info("redis", "Redis at %s is back", redis->address.name);
    tell_gate(redis);
}

/* ---- What the link tells ---- */

static void greet(void *const owner)
{
    struct bh_redis_connection *const connection = owner;
    const struct bh_redis_address *const address = &connection->redis->address;
    struct bh_buf buf;
    bh_buf_init(&buf, BH_REDIS_BYTES_MAX);
    connection->state = BH_REDIS_GREETING;
    connection->greetings = 1;
    if (address->password[0]) {
        struct bh_str auth[3] = { BH_STR("AUTH") };
        size_t count = 1;
        if (address->user[0])
            auth[count++] = bh_str_from(address->user);
        auth[count++] = bh_str_from(address->password);
        append_command(&buf, auth, count);
        connection->greetings++;
    }
    if (connection->listening) {
        const struct bh_str subscribe[] = { BH_STR("SUBSCRIBE"), connection->listening->channel };
        append_command(&buf, subscribe, 2);
    } else {
        char database[16];
        snprintf(database, sizeof(database), "%u", address->database);
        const struct bh_str select[] = { BH_STR("SELECT"), bh_str_from(database) };
        const struct bh_str ping = BH_STR("PING"); /* tells also while the server loads its data */
        append_command(&buf, select, 2);
        append_command(&buf, &ping, 1);
        connection->greetings++;
    }
    if (bh_buf_error(&buf))
        lose(connection, "no memory to greet it");
    else
        bh_redis_link_send(connection->link, &buf);
    bh_buf_fini(&buf);
}

static void become_ready(struct bh_redis_connection *const connection)
{
    connection->state = BH_REDIS_READY;
    connection->awaits_pong = false;
    connection->down.code = 0;
    bh_metrics_add(connection->redis->metrics.connected, 1);
    bh_metrics_add(connection->redis->metrics.open, 1);
    is_up(connection);
    uv_timer_stop(&connection->timer);
    if (connection->listening || connection->first != connection->next)
        start_timer(connection, connection->redis->command_timeout_us);
    if (connection->listening)
        connection->listening->ready(connection->listening->owner);
    else
        bh_redis_link_send(connection->link, &connection->out);
}

static void take_greeting(struct bh_redis_connection *const connection,
                          const redisReply *const reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        char why[200];
        snprintf(why, sizeof(why), "%.*s", (int)reply->len, reply->str);
        lose(connection, why);
    } else if (--connection->greetings == 0) {
        become_ready(connection);
    }
}

static void take_reply(void *const owner, redisReply *const reply)
{
    struct bh_redis_connection *const connection = owner;
    struct bh_redis_call *call = NULL;
    if (connection->state == BH_REDIS_GREETING) {
        take_greeting(connection, reply);
    } else if (connection->listening) {
        connection->awaits_pong = false;
        connection->listening->pushed(connection->listening->owner, reply);
    } else if (connection->first == connection->next) {
        lose(connection, "it answers what it was not asked");
    } else {
        call = oldest(connection)->call;
        connection->first++;
    }
    if (!call) {
        freeReplyObject(reply);
        return;
    }
    call->reply = reply;
    end_call(call);
}

static void send_more(void *const owner)
{
    struct bh_redis_connection *const connection = owner;
    if (connection->state == BH_REDIS_READY)
        bh_redis_link_send(connection->link, &connection->out);
}

static void link_broken(void *const owner, const char *const why)
{
    lose(owner, why);
}

static const struct bh_redis_link_hooks hooks = {
    .connected = greet,
    .reply = take_reply,
    .drained = send_more,
    .broken = link_broken,
};

static void attempt(struct bh_redis_connection *const connection)
{
    struct bh_redis *const redis = connection->redis;
    connection->state = BH_REDIS_CONNECTING;
    const int result = bh_redis_link_open(connection->loop, &redis->address, redis->tls, &hooks,
                                          connection, &connection->link);
    if (result)
        lose(connection, bh_error_text(result));
    else
        start_timer(connection, redis->connect_timeout_us);
}

/* ---- Life ---- */

static void turn_ends(struct bh_task *const task)
{
    send_more(BH_CONTAINER_OF(task, struct bh_redis_connection, turn_end));
}

int bh_redis_connection_open(struct bh_redis_connection *const connection,
                             struct bh_redis *const redis,
                             const struct bh_redis_listening *const listening)
{
    *connection = (struct bh_redis_connection){
        .redis = redis,
        .loop = bh_loop_current(),
        .listening = listening,
        .random = bh_time_now_ns() ^ (uintptr_t)connection,
        .turn_end = { .run = turn_ends },
    };
    if (!listening) {
        connection->pending = calloc(redis->pending_maximum, sizeof(*connection->pending));
        if (!connection->pending)
            return BH_ENOMEM;
    }
    bh_list_init(&connection->turn_end.node);
    bh_buf_init(&connection->out, BH_REDIS_BYTES_MAX);
    uv_timer_init(bh_loop_uv(connection->loop), &connection->timer);
    connection->timer.data = connection;
    attempt(connection);
    return 0;
}

static void timer_closed(uv_handle_t *const handle)
{
    struct bh_redis_connection *const connection = handle->data;
    bh_buf_fini(&connection->out);
    free(connection->pending);
    connection->closed(connection->closed_argument);
}

void bh_redis_connection_close(struct bh_redis_connection *const connection,
                               void (*const closed)(void *argument), void *const argument)
{
    bh_assert(connection->state != BH_REDIS_CLOSED);
    if (connection->state == BH_REDIS_READY)
        bh_metrics_add(connection->redis->metrics.open, -1);
    if (connection->failures > 0) {
        bh_metrics_add(connection->redis->metrics.down, -1);
        atomic_fetch_sub(&connection->redis->down, 1);
        tell_gate(connection->redis);
    }
    connection->state = BH_REDIS_CLOSED;
    connection->closed = closed;
    connection->closed_argument = argument;
    bh_redis_link_close(connection->link);
    connection->link = NULL;
    bh_list_unlink(&connection->turn_end.node);
    uv_close((uv_handle_t *)&connection->timer, timer_closed);
}

/* ---- Commands ---- */

int bh_redis_connection_send(struct bh_redis_connection *const connection,
                             struct bh_redis_call *const call, const struct bh_str *const arguments,
                             const size_t count, struct bh_error *const reterr)
{
    const unsigned maximum = connection->redis->pending_maximum;
    if (connection->state != BH_REDIS_READY && connection->failures > 0)
        return bh_error_set(reterr, BH_EUNAVAILABLE, "%s", connection->down.message);
    if (connection->next - connection->first >= maximum)
        return bh_error_set(reterr, BH_ELIMIT,
                            "%u Redis commands are under way: the server is slow", maximum);
    size_t size = 32 * (count + 1);
    for (size_t i = 0; i < count; i++)
        size += arguments[i].size < BH_REDIS_BYTES_MAX ? arguments[i].size : BH_REDIS_BYTES_MAX;
    if (size > BH_REDIS_BYTES_MAX - connection->out.size)
        return bh_error_set(reterr, BH_ELIMIT, "more than 64 MiB wait to be sent to Redis");
    if (!bh_buf_reserve(&connection->out, size)) {
        lose(connection, "no memory for what is to be sent");
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a Redis command");
    }
    append_command(&connection->out, arguments, count);
    struct bh_redis_pending *const pending = &connection->pending[connection->next % maximum];
    const bool was_quiet = connection->first == connection->next;
    call->number = connection->next++;
    *pending = (struct bh_redis_pending){ call, bh_loop_now_us(connection->loop) };
    if (connection->state != BH_REDIS_READY)
        return 0;
    if (was_quiet && !uv_is_active((uv_handle_t *)&connection->timer))
        start_timer(connection, connection->redis->command_timeout_us);
    if (bh_list_is_empty(&connection->turn_end.node))
        bh_loop_at_turn_end(connection->loop, &connection->turn_end);
    return 0;
}

void bh_redis_connection_forget(struct bh_redis_connection *const connection,
                                const struct bh_redis_call *const call)
{
    struct bh_redis_pending *const pending =
        &connection->pending[call->number % connection->redis->pending_maximum];
    bh_assert(pending->call == call);
    pending->call = NULL;
}
