/*
 * One list under one mutex, held while listeners are told: so that none is told after its end, and
 * all in the same order.
 */
#include "db/listen.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/list.h"
#include "db/driver.h"

struct bh_listeners {
    pthread_mutex_t mutex; /* guards the rest */
    struct bh_list list;
};

struct bh_db_listener {
    struct bh_listeners *listeners;
    struct bh_list node;
    char channel[BH_DB_CHANNEL_BYTES_MAX + 1];
    bh_db_heard *heard;
    void *argument;
    bool is_begun;
};

int bh_listeners_create(struct bh_listeners **const ret_listeners)
{
    struct bh_listeners *const listeners = calloc(1, sizeof(*listeners));
    if (!listeners)
        return BH_ENOMEM;
    pthread_mutex_init(&listeners->mutex, NULL);
    bh_list_init(&listeners->list);
    *ret_listeners = listeners;
    return 0;
}

void bh_listeners_destroy(struct bh_listeners *const listeners)
{
    if (!listeners)
        return;
    bh_assert(bh_list_is_empty(&listeners->list));
    pthread_mutex_destroy(&listeners->mutex);
    free(listeners);
}

/* ---- For drivers ---- */

static struct bh_db_listener *of(struct bh_list *const node)
{
    return BH_LIST_ENTRY(node, struct bh_db_listener, node);
}

bool bh_listeners_next(struct bh_listeners *const listeners,
                       char channel[BH_DB_CHANNEL_BYTES_MAX + 1])
{
    bool is_found = false;
    pthread_mutex_lock(&listeners->mutex);
    BH_LIST_FOREACH(node, &listeners->list) {
        if (!is_found && !of(node)->is_begun) {
            memcpy(channel, of(node)->channel, sizeof(of(node)->channel));
            is_found = true;
        }
    }
    pthread_mutex_unlock(&listeners->mutex);
    return is_found;
}

void bh_listeners_begun(struct bh_listeners *const listeners, const char *const channel)
{
    pthread_mutex_lock(&listeners->mutex);
    BH_LIST_FOREACH(node, &listeners->list) {
        struct bh_db_listener *const listener = of(node);
        if (listener->is_begun || strcmp(listener->channel, channel) != 0)
            continue;
        listener->is_begun = true;
        listener->heard(listener->argument, BH_STR_NONE);
    }
    pthread_mutex_unlock(&listeners->mutex);
}

void bh_listeners_lost(struct bh_listeners *const listeners)
{
    pthread_mutex_lock(&listeners->mutex);
    BH_LIST_FOREACH(node, &listeners->list)
        of(node)->is_begun = false;
    pthread_mutex_unlock(&listeners->mutex);
}

void bh_listeners_tell(struct bh_listeners *const listeners, const char *const channel,
                       const struct bh_str message)
{
    pthread_mutex_lock(&listeners->mutex);
    BH_LIST_FOREACH(node, &listeners->list) {
        const struct bh_db_listener *const listener = of(node);
        if (listener->is_begun && strcmp(listener->channel, channel) == 0)
            listener->heard(listener->argument, message);
    }
    pthread_mutex_unlock(&listeners->mutex);
}

/* ---- For services ---- */

static int check_channel(const char *const channel, struct bh_error *const reterr)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    const size_t size = strlen(channel);
    if (channel[0] < 'a' || channel[0] > 'z' || size > BH_DB_CHANNEL_BYTES_MAX ||
        strspn(channel, letters) != size)
        return bh_error_set(reterr, BH_EINVAL,
                            "channel \"%s\": use a-z, 0-9 and _ after a letter, %d bytes at most",
                            channel, BH_DB_CHANNEL_BYTES_MAX);
    return 0;
}

int bh_db_listen(struct bh_db *const db, const char *const channel, bh_db_heard *const heard,
                 void *const argument, struct bh_db_listener **const ret_listener,
                 struct bh_error *const reterr)
{
    const int code = check_channel(channel, reterr);
    if (code)
        return code;
    struct bh_db_listener *const listener = calloc(1, sizeof(*listener));
    if (!listener)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to listen on channel \"%s\"", channel);
    listener->listeners = db->listeners;
    listener->heard = heard;
    listener->argument = argument;
    memcpy(listener->channel, channel, strlen(channel) + 1);
    pthread_mutex_lock(&db->listeners->mutex);
    bh_list_append(&db->listeners->list, &listener->node);
    pthread_mutex_unlock(&db->listeners->mutex);
    if (db->driver->listen)
        db->driver->listen(db);
    else
        bh_listeners_begun(db->listeners, channel);
    *ret_listener = listener;
    return 0;
}

void bh_db_unlisten(struct bh_db_listener *const listener)
{
    if (!listener)
        return;
    pthread_mutex_lock(&listener->listeners->mutex);
    bh_list_unlink(&listener->node);
    pthread_mutex_unlock(&listener->listeners->mutex);
    free(listener);
}

int bh_db_notify(struct bh_db *const db, const char *const channel, const struct bh_str message,
                 struct bh_error *const reterr)
{
    int code = check_channel(channel, reterr);
    if (code)
        return code;
    const struct bh_str text = message.data ? message : BH_STR("");
    if (text.size > BH_DB_MESSAGE_BYTES_MAX || !bh_str_is_utf8(text) ||
        memchr(text.data, '\0', text.size))
        return bh_error_set(
            reterr, BH_EINVAL,
            "message on channel \"%s\": %zu bytes that are no text, or more than %d", channel,
            text.size, BH_DB_MESSAGE_BYTES_MAX);
    if (!db->driver->notify) {
        bh_listeners_tell(db->listeners, channel, text);
        return 0;
    }
    struct bh_trace_span span;
    bh_trace_begin(&span, "notify", "NOTIFY");
    code = db->driver->notify(db, channel, text, &span, reterr);
    bh_trace_end(&span, code);
    return code;
}
