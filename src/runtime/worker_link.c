#define BH_METRICS_FILE "runtime/supervisor_metrics.def"
#include "bulkhead/base/metrics_define.h"

#include "runtime/worker_link.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/runtime/supervisor.h"
#include "runtime/worker_process.h"

static void readable(uv_poll_t *const handle, const int status, const int events)
{
    (void)status;
    (void)events;
    struct bh_worker_link *const link = handle->data;
    while (link->is_watching) {
        char letter = 0;
        const ssize_t size = recv(link->fd, &letter, 1, MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (size <= 0) {
            uv_poll_stop(&link->poll);
            link->wished(link, BH_LINK_ORPHANED);
            return;
        }
        if (letter == 'S')
            link->wished(link, BH_LINK_STOP);
        else if (letter == 'P')
            link->wished(link, BH_LINK_REPLACED);
        else if (letter == 'N')
            link->wished(link, BH_LINK_NOW);
    }
}

void bh_worker_link_watch(struct bh_worker_link *const link, uv_loop_t *const loop, const int fd,
                          void (*const wished)(struct bh_worker_link *link, enum bh_link_wish wish))
{
    *link = (struct bh_worker_link){ .fd = fd, .is_watching = true, .wished = wished };
    const int result = uv_poll_init(loop, &link->poll, fd);
    bh_assert(result == 0);
    link->poll.data = link;
    uv_poll_start(&link->poll, UV_READABLE, readable);
}

void bh_worker_link_unwatch(struct bh_worker_link *const link)
{
    if (!link->is_watching)
        return;
    link->is_watching = false;
    uv_close((uv_handle_t *)&link->poll, NULL);
}

void bh_worker_link_say(const int fd, const char letter, const char *const text)
{
    char message[BH_WORKER_TEXT_MAX];
    const int size = snprintf(message, sizeof(message), "%c%s", letter, text);
    const size_t length = size < (int)sizeof(message) ? (size_t)size : sizeof(message) - 1;
    (void)!send(fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- What a service needs of it before it serves ---- */

bool bh_supervisor_is_parent(void)
{
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof(int);
    return getsockopt(BH_SUPERVISOR_CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_SEQPACKET &&
           getsockopt(BH_SUPERVISOR_LISTENER_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
           listens != 0;
}

void bh_supervisor_tell_failure(const char *const message)
{
    bh_worker_link_say(BH_SUPERVISOR_CHANNEL_FD, 'F', message);
}

void bh_supervisor_register_metrics(const unsigned generation, const unsigned crashes)
{
    bh_metrics_register(metric_families, METRIC_COUNT);
    bh_metrics_add(bh_metrics_child(&metric_families[METRIC_generation], NULL, 0), generation);
    bh_metrics_add(bh_metrics_child(&metric_families[METRIC_crashes], NULL, 0), crashes);
}
