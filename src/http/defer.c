/* Each refuser has a line of its own: one without room does not hold up those behind another's. */
#include "http/defer.h"

#include "http/connection.h"
#include "http/server_internal.h"

#define LOOK_MS 2
#define RESUMED_MAX 256 /* at a time: some milliseconds of reading */

/* That of a refuser, or the one that will be; more refusers than lines share the last. */
static struct bh_defer_line *line_of(struct bh_http_loop *const http, const void *const refused_by)
{
    struct bh_defer_line *line = http->defer_lines;
    while (line < http->defer_lines + BH_DEFER_LINES - 1 && line->refuser != NULL &&
           line->refuser != refused_by)
        line++;
    return line;
}

static struct bh_connection *first_of(const struct bh_defer_line *const line)
{
    return bh_list_is_empty(&line->connections)
               ? NULL
               : BH_LIST_ENTRY(line->connections.next, struct bh_connection, deferred);
}

/* All loops ask: each takes its part. */
static unsigned ask(const struct bh_http_loop *const http, void *const refused_by)
{
    const unsigned loops = atomic_load_explicit(&http->server->loop_count, memory_order_relaxed);
    const unsigned room = http->options->room ? http->options->room(refused_by) : 0;
    return room / loops + (room % loops > 0);
}

/* False: nobody is left in the line. */
static bool let_in(const struct bh_http_loop *const http, const struct bh_defer_line *const line)
{
    struct bh_connection *connection = first_of(line);
    if (!connection)
        return false;
    void *const refused_by = connection->refused_by;
    unsigned room = ask(http, refused_by);
    room = room < RESUMED_MAX ? room : RESUMED_MAX;
    for (; room > 0 && connection && connection->refused_by == refused_by; room--) {
        bh_connection_resume(connection);
        connection = first_of(line);
    }
    return connection != NULL;
}

static void look_for_room(uv_timer_t *const timer)
{
    struct bh_http_loop *const http = timer->data;
    bool is_anybody_left = false;
    for (size_t i = 0; i < BH_DEFER_LINES; i++)
        is_anybody_left |= let_in(http, &http->defer_lines[i]);
    if (!is_anybody_left)
        uv_timer_stop(timer);
}

void bh_defer_init(struct bh_http_loop *const http)
{
    uv_timer_init(bh_loop_uv(http->loop), &http->defer);
    http->defer.data = http;
    for (size_t i = 0; i < BH_DEFER_LINES; i++)
        bh_list_init(&http->defer_lines[i].connections);
}

bool bh_defer_is_due(struct bh_http_loop *const http, void *const refused_by)
{
    return !bh_list_is_empty(&line_of(http, refused_by)->connections) ||
           (http->options->room && http->options->room(refused_by) == 0);
}

void bh_defer_begin(struct bh_http_loop *const http, struct bh_connection *const connection)
{
    struct bh_defer_line *const line = line_of(http, connection->refused_by);
    line->refuser = connection->refused_by;
    bh_list_append(&line->connections, &connection->deferred);
    if (!uv_is_active((const uv_handle_t *)&http->defer))
        uv_timer_start(&http->defer, look_for_room, LOOK_MS, LOOK_MS);
}
