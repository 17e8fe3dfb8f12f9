/*
 * One request and its answer.
 *
 * What arrives waits in `received`; past half of BH_TRANSFER_WAITING_MAX libcurl is told to pause,
 * and so stops reading from the socket. A read hands all of it out and lets libcurl go on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/buf.h"
#include "client/client_loop.h"
#include "client/client_metrics.h"

#define TRANSFER_MAGIC 0x54524e53u
#define HEAD_BYTES_MAX ((size_t)64 * 1024)
#define HOST_MAX 128

struct bh_transfer {
    BH_MAGIC_FIELD;
    struct bh_client_loop *home;
    CURL *easy;
    struct curl_slist *headers;
    struct bh_fiber *waiting;
    bool has_head, is_paused, has_ended;
    CURLcode code; /* once it has ended */
    size_t head_bytes;
    struct bh_buf received, given;
    char host[HOST_MAX]; /* for messages */
    char detail[CURL_ERROR_SIZE];
};

static void wake(struct bh_transfer *const transfer)
{
    if (transfer->waiting != NULL)
        bh_fiber_wake(transfer->waiting);
}

/* ---- What libcurl tells ---- */

void bh_transfer_ended(CURL *const easy, const CURLcode code)
{
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct bh_transfer *const transfer = (struct bh_transfer *)(void *)private;
    bh_magic_check(transfer, TRANSFER_MAGIC);
    transfer->has_ended = true;
    transfer->code = code;
    wake(transfer);
}

/* An empty line ends a head; those of 1xx are followed by another. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is curl_write_callback */
static size_t take_header(char *const data, const size_t size, const size_t count,
                          void *const argument)
{
    struct bh_transfer *const transfer = argument;
    long status = 0;
    transfer->head_bytes += size * count;
    if (transfer->head_bytes > HEAD_BYTES_MAX)
        return 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && size * count > 0 && (data[0] == '\r' || data[0] == '\n')) {
        transfer->has_head = true;
        wake(transfer);
    }
    return size * count;
}

static size_t take_body(char *const data, const size_t size, const size_t count,
                        void *const argument)
{
    struct bh_transfer *const transfer = argument;
    if (transfer->received.size > BH_TRANSFER_WAITING_MAX / 2) {
        transfer->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    bh_buf_append(&transfer->received, data, size * count);
    wake(transfer);
    return bh_buf_error(&transfer->received) == 0 ? size * count : 0;
}

/* ---- Failures ---- */

static int timed_out(const struct bh_transfer *const transfer, struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ETIMEDOUT, "%s did not answer in time", transfer->host);
}

static int code_of(const CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return BH_ETIMEDOUT;
    case CURLE_OUT_OF_MEMORY:
        return BH_ENOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return BH_EINVAL;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return BH_EACCESS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR:
    case CURLE_HTTP2:
    case CURLE_BAD_CONTENT_ENCODING:
        return BH_ESYNTAX;
    default:
        return BH_EUNAVAILABLE;
    }
}

static int failure(const struct bh_transfer *const transfer, struct bh_error *const reterr)
{
    const int code = code_of(transfer->code);
    if (code == BH_ETIMEDOUT)
        return timed_out(transfer, reterr);
    return bh_error_set(reterr, code, "%s: %s", transfer->host,
                        transfer->detail[0] != '\0' ? transfer->detail
                                                    : curl_easy_strerror(transfer->code));
}

/* ---- Asking ---- */

/* The URL without what may be secret: user, path, query. */
static void remember_host(struct bh_transfer *const transfer, const char *const url)
{
    CURLU *const parts = curl_url();
    char *host = NULL;
    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        snprintf(transfer->host, sizeof(transfer->host), "%s", host);
    else
        snprintf(transfer->host, sizeof(transfer->host), "the server");
    curl_free(host);
    curl_url_cleanup(parts);
}

static bool add_headers(struct bh_transfer *const transfer, const char *const *headers)
{
    /* "Expect:" without a value: not to wait for 100 Continue before a long body. */
    transfer->headers = curl_slist_append(NULL, "Expect:");
    for (; transfer->headers != NULL && headers != NULL && *headers != NULL; headers++) {
        struct curl_slist *const longer = curl_slist_append(transfer->headers, *headers);
        if (longer == NULL)
            return false;
        transfer->headers = longer;
    }
    return transfer->headers != NULL;
}

static void set_up(struct bh_transfer *const transfer,
                   const struct bh_client_request *const request)
{
    const struct bh_client_options *const options = bh_client_options_of(transfer->home->client);
    CURL *const easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
    curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy != NULL ? options->proxy : "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(options->connect_timeout_us / BH_MS_US));
    if (options->ca_file != NULL && options->ca_file[0] != '\0') {
        curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, (char *)NULL);
    }
    if (request->body.data != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

static int transfer_start(struct bh_transfer *const transfer,
                          const struct bh_client_request *const request,
                          struct bh_error *const reterr)
{
    remember_host(transfer, request->url);
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL || !add_headers(transfer, request->headers))
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a request to %s", transfer->host);
    set_up(transfer, request);
    if (curl_multi_add_handle(transfer->home->multi, transfer->easy) != CURLM_OK)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a request to %s", transfer->host);
    return 0;
}

/* Waits until `transfer` was told something. */
static int await(struct bh_transfer *const transfer, const uint64_t until_us,
                 struct bh_error *const reterr)
{
    transfer->waiting = bh_fiber_current();
    const int result = bh_fiber_park_until(until_us);
    transfer->waiting = NULL;
    if (result == BH_ETIMEDOUT)
        return timed_out(transfer, reterr);
    return result == 0 ? 0 : bh_error_set(reterr, result, "%s", bh_error_text(result));
}

static int await_head(struct bh_transfer *const transfer, const uint64_t until_us,
                      struct bh_error *const reterr)
{
    int result = 0;
    while (result == 0 && !transfer->has_head && !transfer->has_ended)
        result = await(transfer, until_us, reterr);
    return result == 0 && !transfer->has_head ? failure(transfer, reterr) : result;
}

int bh_client_open(struct bh_client *const client, const struct bh_client_request *const request,
                   const uint64_t until_us, struct bh_transfer **const ret_transfer,
                   struct bh_error *const reterr)
{
    struct bh_client_loop *const home = bh_client_loop_get(client);
    const uint64_t begun_us = bh_time_now_us();
    if (home == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for an HTTP client");
    if (home->transfer_count >= bh_client_options_of(client)->transfers_maximum)
        return bh_error_set(reterr, BH_EBUSY, "too many requests to other servers are under way");
    struct bh_transfer *const transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a request to another server");
    transfer->magic = TRANSFER_MAGIC;
    transfer->home = home;
    bh_buf_init(&transfer->received, BH_TRANSFER_WAITING_MAX);
    bh_buf_init(&transfer->given, BH_TRANSFER_WAITING_MAX);
    home->transfer_count++;
    bh_client_metrics_begin();
    int result = transfer_start(transfer, request, reterr);
    if (result == 0)
        result = await_head(transfer, until_us, reterr);
    bh_client_metrics_answered(result, bh_time_now_us() - begun_us);
    if (result != 0) {
        bh_transfer_close(transfer);
        return result;
    }
    *ret_transfer = transfer;
    return 0;
}

void bh_transfer_close(struct bh_transfer *const transfer)
{
    if (transfer == NULL)
        return;
    bh_magic_check(transfer, TRANSFER_MAGIC);
    if (transfer->easy != NULL)
        curl_multi_remove_handle(transfer->home->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    bh_buf_fini(&transfer->received);
    bh_buf_fini(&transfer->given);
    transfer->home->transfer_count--;
    bh_client_metrics_end();
    transfer->magic = 0;
    free(transfer);
}

/* ---- The answer ---- */

int bh_transfer_status(const struct bh_transfer *const transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

struct bh_str bh_transfer_header(const struct bh_transfer *const transfer, const char *const name)
{
    struct curl_header *header = NULL;
    if (curl_easy_header(transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return BH_STR_NONE;
    if (header->amount > 1 && curl_easy_header(transfer->easy, name, header->amount - 1,
                                               CURLH_HEADER, -1, &header) != CURLHE_OK)
        return BH_STR_NONE;
    return bh_str_from(header->value);
}

int bh_transfer_read(struct bh_transfer *const transfer, const uint64_t until_us,
                     struct bh_str *const ret_piece, struct bh_error *const reterr)
{
    bh_magic_check(transfer, TRANSFER_MAGIC);
    int result = 0;
    while (result == 0 && transfer->received.size == 0 && !transfer->has_ended)
        result = await(transfer, until_us, reterr);
    if (result != 0)
        return result;
    if (transfer->received.size == 0 && transfer->code != CURLE_OK)
        return failure(transfer, reterr);
    const struct bh_buf given = transfer->given;
    transfer->given = transfer->received;
    transfer->received = given;
    bh_buf_clear(&transfer->received);
    if (transfer->is_paused) {
        transfer->is_paused = false;
        curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    }
    *ret_piece = bh_buf_peek(&transfer->given);
    return 0;
}
