/* The list of those that wait is that of their deadlines, all of which last equally long. */
#include "http/defer.h"

#include "http/connection.h"
#include "http/server_internal.h"

#define LOOK_MS 2
#define RESUMED_MAX 256 /* at a time: some milliseconds of reading */
#define REFUSERS_MAX 4

/* Who refused, and how many more they would take: asked once a look. */
struct refuser {
    void *key;
    unsigned room;
};

struct look {
    const struct bh_http_loop *http;
    struct refuser refusers[REFUSERS_MAX];
    size_t count;
};

static struct bh_connection *first_deferred(const struct bh_http_loop *const http)
{
    struct bh_deadline *const deadline = bh_deadlines_first(&http->deadlines, BH_DEADLINE_DEFERRED);
    return deadline ? BH_CONTAINER_OF(deadline, struct bh_connection, deadline) : NULL;
}

/* All loops ask: each takes its part. */
static unsigned ask(const struct bh_http_loop *const http, void *const key)
{
    const unsigned loops = atomic_load_explicit(&http->server->loop_count, memory_order_relaxed);
    const unsigned room = http->options->room ? http->options->room(key) : 0;
    return room / loops + (room % loops > 0);
}

/* One place at `key`, if there is any. */
static bool take_room(struct look *const look, void *const key)
{
    size_t at = 0;
    while (at < look->count && look->refusers[at].key != key)
        at++;
    if (at == REFUSERS_MAX)
        return false; /* its turn comes with the next look */
    if (at == look->count)
        look->refusers[look->count++] = (struct refuser){ key, ask(look->http, key) };
    if (look->refusers[at].room == 0)
        return false;
    look->refusers[at].room--;
    return true;
}

static void look_for_room(uv_timer_t *const timer)
{
    struct bh_http_loop *const http = timer->data;
    struct look look = { .http = http };
    struct bh_connection *connection = first_deferred(http);
    for (unsigned i = 0; i < RESUMED_MAX && connection; i++) {
        if (!take_room(&look, connection->refused_by))
            break;
        bh_connection_resume(connection);
        connection = first_deferred(http);
    }
    if (!connection)
        uv_timer_stop(timer);
}

void bh_defer_init(struct bh_http_loop *const http)
{
    uv_timer_init(bh_loop_uv(http->loop), &http->defer);
    http->defer.data = http;
}

void bh_defer_begin(struct bh_http_loop *const http)
{
    if (!uv_is_active((const uv_handle_t *)&http->defer))
        uv_timer_start(&http->defer, look_for_room, LOOK_MS, LOOK_MS);
}
