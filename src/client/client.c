/*
 * The client and its loops' parts.
 *
 * libcurl tells which sockets to watch and when to be called again; a uv_poll_t each and one
 * uv_timer_t do that. Its callbacks only mark what happened and wake fibers: a fiber runs later in
 * the loop's turn, so it may call libcurl again.
 */
#include "bulkhead/client/client.h"

#include <pthread.h>
#include <stdlib.h>

#include "client/client_loop.h"

#define LOOP_MAGIC 0x434c4f4fu
#define CLIENT_MAGIC 0x434c4e54u

struct bh_client {
    BH_MAGIC_FIELD;
    struct bh_client_options options;

    pthread_mutex_t mutex; /* guards the rest */
    struct bh_list loops;  /* struct bh_client_loop.node */
};

struct watched {
    uv_poll_t poll;
    struct bh_client_loop *home;
};

/* ---- What libcurl wants ---- */

static void tell_ended(const struct bh_client_loop *const home)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(home->multi, &left)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            bh_transfer_ended(message->easy_handle, message->data.result);
}

static void socket_ready(uv_poll_t *const poll, const int status, const int events)
{
    const struct watched *const watched = poll->data;
    struct bh_client_loop *const home = watched->home; /* `watched` may go meanwhile */
    uv_os_fd_t fd = -1;
    int running = 0;
    const int flags = status < 0 ? CURL_CSELECT_ERR
                                 : ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                                       ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
    bh_magic_check(home, LOOP_MAGIC);
    if (uv_fileno((const uv_handle_t *)poll, &fd) != 0)
        return;
    curl_multi_socket_action(home->multi, fd, flags, &running);
    tell_ended(home);
}

static void timer_passed(uv_timer_t *const timer)
{
    struct bh_client_loop *const home = timer->data;
    int running = 0;
    bh_magic_check(home, LOOP_MAGIC);
    curl_multi_socket_action(home->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_ended(home);
}

static void watched_closed(uv_handle_t *const handle)
{
    free(handle->data);
}

static struct watched *watch(struct bh_client_loop *const home, const curl_socket_t fd)
{
    struct watched *const watched = calloc(1, sizeof(*watched));
    if (watched == NULL)
        return NULL;
    watched->home = home;
    if (uv_poll_init_socket(bh_loop_uv(home->loop), &watched->poll, fd) != 0) {
        free(watched);
        return NULL;
    }
    watched->poll.data = watched;
    curl_multi_assign(home->multi, fd, watched);
    return watched;
}

/* Once it is told to remove a socket, libcurl closes it: the handle must have let go by then. */
static int socket_wanted(CURL *const easy, const curl_socket_t fd, const int what,
                         void *const argument, void *const known)
{
    struct watched *watched = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL)
            uv_close((uv_handle_t *)&watched->poll, watched_closed);
        return 0;
    }
    if (watched == NULL)
        watched = watch(argument, fd);
    if (watched == NULL)
        return -1;
    const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                       ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
    return uv_poll_start(&watched->poll, events, socket_ready) == 0 ? 0 : -1;
}

static int timer_wanted(CURLM *const multi, const long timeout_ms, void *const argument)
{
    struct bh_client_loop *const home = argument;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&home->timer);
    else
        uv_timer_start(&home->timer, timer_passed, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- A loop's part ---- */

static void loop_closed(uv_handle_t *const handle)
{
    free(handle->data);
}

static void loop_stopping(struct bh_loop_hook *const hook)
{
    struct bh_client_loop *const home = BH_CONTAINER_OF(hook, struct bh_client_loop, hook);
    bh_magic_check(home, LOOP_MAGIC);
    struct bh_client *const client = home->client;
    bh_assert(home->transfer_count == 0);
    pthread_mutex_lock(&client->mutex);
    bh_list_unlink(&home->node);
    pthread_mutex_unlock(&client->mutex);
    curl_multi_cleanup(home->multi); /* closes the connections kept */
    bh_loop_remove_hook(home->loop, hook);
    uv_close((uv_handle_t *)&home->timer, loop_closed);
}

static struct bh_client_loop *loop_create(struct bh_client *const client,
                                          struct bh_loop *const loop)
{
    struct bh_client_loop *const home = calloc(1, sizeof(*home));
    const long most = (long)client->options.connections_maximum;
    if (home == NULL)
        return NULL;
    *home = (struct bh_client_loop){ .magic = LOOP_MAGIC,
                                     .client = client,
                                     .loop = loop,
                                     .multi = curl_multi_init(),
                                     .hook.stopping = loop_stopping };
    if (home->multi == NULL) {
        free(home);
        return NULL;
    }
    uv_timer_init(bh_loop_uv(loop), &home->timer);
    home->timer.data = home;
    curl_multi_setopt(home->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(home->multi, CURLMOPT_SOCKETDATA, home);
    curl_multi_setopt(home->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(home->multi, CURLMOPT_TIMERDATA, home);
    curl_multi_setopt(home->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most);
    curl_multi_setopt(home->multi, CURLMOPT_MAXCONNECTS, most);
    bh_list_init(&home->hook.node);
    bh_loop_add_hook(loop, &home->hook);
    return home;
}

struct bh_client_loop *bh_client_loop_get(struct bh_client *const client)
{
    struct bh_loop *const loop = bh_loop_current();
    struct bh_client_loop *found = NULL;
    bh_magic_check(client, CLIENT_MAGIC);
    pthread_mutex_lock(&client->mutex);
    BH_LIST_FOREACH(node, &client->loops) {
        struct bh_client_loop *const home = BH_LIST_ENTRY(node, struct bh_client_loop, node);
        if (home->loop == loop)
            found = home;
    }
    if (found == NULL) {
        found = loop_create(client, loop);
        if (found != NULL)
            bh_list_append(&client->loops, &found->node);
    }
    pthread_mutex_unlock(&client->mutex);
    return found;
}

/* ---- Life ---- */

void bh_client_options_default(struct bh_client_options *const ret_options)
{
    *ret_options = (struct bh_client_options){ .connections_maximum = 16,
                                               .transfers_maximum = 256,
                                               .connect_timeout_us = 5 * BH_SECOND_US };
}

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int bh_client_create(const struct bh_client_options *const options,
                     struct bh_client **const ret_client)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct bh_client *const client = calloc(1, sizeof(*client));
    if (client == NULL)
        return BH_ENOMEM;
    pthread_once(&once, global_init);
    client->magic = CLIENT_MAGIC;
    client->options = *options;
    bh_list_init(&client->loops);
    pthread_mutex_init(&client->mutex, NULL);
    *ret_client = client;
    return 0;
}

void bh_client_destroy(struct bh_client *const client)
{
    if (client == NULL)
        return;
    bh_magic_check(client, CLIENT_MAGIC);
    bh_assert(bh_list_is_empty(&client->loops));
    pthread_mutex_destroy(&client->mutex);
    client->magic = 0;
    free(client);
}

const struct bh_client_options *bh_client_options_of(const struct bh_client *const client)
{
    return &client->options;
}
