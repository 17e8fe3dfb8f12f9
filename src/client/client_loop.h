/*
 * One loop's part of the client: libcurl's multi handle, driven by libuv. Made with the loop's
 * first request, taken apart by the loop's end. Loop's thread.
 */
#pragma once

#include <curl/curl.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/client/client.h"

struct bh_client_loop {
    BH_MAGIC_FIELD;
    struct bh_client *client;
    struct bh_loop *loop;
    CURLM *multi;
    uv_timer_t timer; /* libcurl's */
    struct bh_loop_hook hook;
    unsigned transfer_count;
    struct bh_list node; /* of the client's list */
};

/* The running loop's part; NULL: no memory. */
struct bh_client_loop *bh_client_loop_get(struct bh_client *client);

const struct bh_client_options *bh_client_options_of(const struct bh_client *client);

/* transfer.c: libcurl has ended this transfer. */
void bh_transfer_ended(CURL *easy, CURLcode code);
