/*
 * libuv does the socket, and the name in its thread pool; hiredis reads replies. hiredis' own
 * asynchronous connection is not used: version 0.14 resolves names blocking, which would stop a
 * loop with all of its requests.
 */
#include "redis/redis_link.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/tls/tls_session.h"

#define LINK_MAGIC 0x524c4e4bu
#define READ_BYTES 65536
#define KEEPALIVE_SECONDS 15
#define CIPHER_BYTES_MAX (BH_REDIS_BYTES_MAX + BH_REDIS_BYTES_MAX / 64) /* 22 bytes a record more */

struct bh_redis_link {
    BH_MAGIC_FIELD;
    struct bh_loop *loop;
    const struct bh_redis_address *address;
    const struct bh_redis_link_hooks *hooks;
    struct bh_tls *tls; /* NULL: plain */
    struct bh_tls_session *session;
    bool is_secure;       /* the handshake is over */
    bool is_connected;    /* the owner was told */
    struct bh_buf cipher; /* to be sent when what is on its way has gone */
    void *owner;          /* NULL: closed, waits for libuv */
    bool is_resolving;
    bool has_tcp;
    bool is_writing;
    uv_getaddrinfo_t resolve;
    struct addrinfo *addresses;
    const struct addrinfo *next; /* to be tried */
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct bh_buf writing;
    redisReader *reader;
    char input[READ_BYTES];
};

/* Unless libuv still holds a part of it. */
static void free_link(struct bh_redis_link *const link)
{
    if (link->is_resolving || link->has_tcp)
        return;
    link->magic = 0;
    uv_freeaddrinfo(link->addresses);
    if (link->reader)
        redisReaderFree(link->reader);
    bh_tls_session_destroy(link->session);
    bh_buf_fini(&link->cipher);
    bh_buf_fini(&link->writing);
    free(link);
}

static void broken(struct bh_redis_link *const link, const char *const why)
{
    if (link->owner)
        link->hooks->broken(link->owner, why);
}

/* ---- Replies ---- */

static void allocate(uv_handle_t *const handle, const size_t suggested, uv_buf_t *const buf)
{
    (void)suggested;
    struct bh_redis_link *const link = handle->data;
    *buf = uv_buf_init(link->input, sizeof(link->input));
}

static void take_replies(struct bh_redis_link *const link)
{
    while (link->owner) {
        void *reply = NULL;
        if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
            broken(link, "what it sends is not Redis' protocol");
            return;
        }
        if (!reply)
            break;
        link->hooks->reply(link->owner, reply);
    }
    if (link->owner && link->reader->len > BH_REDIS_BYTES_MAX)
        broken(link, "a reply is longer than 64 MiB");
}

static void connected(struct bh_redis_link *const link)
{
    link->is_connected = true;
    link->hooks->connected(link->owner);
}

/* ---- TLS ---- */

static void transmit(struct bh_redis_link *link);

/* false: the handshake is not over, or the link is broken. */
static bool shake(struct bh_redis_link *const link, struct bh_tls_io *const io)
{
    struct bh_error error = { 0 };
    const int result = bh_tls_session_handshake(link->session, io, &error);
    transmit(link);
    if (result < 0)
        broken(link, error.message);
    if (result <= 0 || !link->owner)
        return false;
    link->is_secure = true;
    if (!link->is_writing) /* else once our part of the handshake has gone */
        connected(link);
    return link->owner != NULL;
}

/* `input` as it came from the server; none: the beginning. */
static void decrypt(struct bh_redis_link *const link, const struct bh_str input)
{
    struct bh_tls_io io = { .input = input, .output = &link->cipher };
    char plain[BH_TLS_RECORD_BYTES];
    if (!link->is_secure && !shake(link, &io))
        return;
    int found = 0;
    while ((found = bh_tls_session_look(link->session, &io)) == 1) {
        const size_t size = bh_tls_session_read(link->session, &io, plain, sizeof(plain));
        if (redisReaderFeed(link->reader, plain, size) != REDIS_OK) {
            broken(link, "no memory for its reply");
            return;
        }
        take_replies(link);
        if (!link->owner)
            return;
    }
    transmit(link);
    if (found < 0 && link->owner)
        broken(link, found == BH_ECLOSED ? "it closed the connection" : "what it sends is no TLS");
}

static void begin_tls(struct bh_redis_link *const link)
{
    if (bh_tls_session_create(link->tls, link->address->host, &link->session) < 0)
        broken(link, "no memory for TLS");
    else
        decrypt(link, BH_STR_NONE);
}

static void on_read(uv_stream_t *const stream, const ssize_t size, const uv_buf_t *const buf)
{
    struct bh_redis_link *const link = stream->data;
    bh_magic_check(link, LINK_MAGIC);
    if (!link->owner || size == 0)
        return;
    if (size < 0)
        broken(link, size == UV_EOF ? "it closed the connection" : uv_strerror((int)size));
    else if (link->session)
        decrypt(link, (struct bh_str){ buf->base, (size_t)size });
    else if (redisReaderFeed(link->reader, buf->base, (size_t)size) != REDIS_OK)
        broken(link, "no memory for its reply");
    else
        take_replies(link);
}

/* ---- Connecting ---- */

static void try_next(struct bh_redis_link *link);

static void on_tcp_closed(uv_handle_t *const handle)
{
    struct bh_redis_link *const link = handle->data;
    bh_magic_check(link, LINK_MAGIC);
    link->has_tcp = false;
    if (link->owner)
        try_next(link);
    else
        free_link(link);
}

static void on_connected(uv_connect_t *const request, const int status)
{
    struct bh_redis_link *const link = request->data;
    bh_magic_check(link, LINK_MAGIC);
    if (!link->owner)
        return;
    if (status < 0 && link->next) {
        uv_close((uv_handle_t *)&link->tcp, on_tcp_closed);
        return;
    }
    if (status < 0) {
        broken(link, uv_strerror(status));
        return;
    }
    uv_tcp_nodelay(&link->tcp, 1);
    uv_tcp_keepalive(&link->tcp, 1, KEEPALIVE_SECONDS);
    const int result = uv_read_start((uv_stream_t *)&link->tcp, allocate, on_read);
    if (result < 0)
        broken(link, uv_strerror(result));
    else if (link->tls)
        begin_tls(link);
    else
        connected(link);
}

static void try_next(struct bh_redis_link *const link)
{
    const struct addrinfo *const address = link->next;
    link->next = address->ai_next;
    uv_tcp_init(bh_loop_uv(link->loop), &link->tcp);
    link->has_tcp = true;
    link->tcp.data = link;
    link->connect.data = link;
    const int result = uv_tcp_connect(&link->connect, &link->tcp, address->ai_addr, on_connected);
    if (result < 0)
        broken(link, uv_strerror(result));
}

static void on_resolved(uv_getaddrinfo_t *const request, const int status,
                        struct addrinfo *const addresses)
{
    struct bh_redis_link *const link = request->data;
    bh_magic_check(link, LINK_MAGIC);
    link->is_resolving = false;
    link->addresses = addresses;
    link->next = addresses;
    if (!link->owner)
        free_link(link);
    else if (status < 0)
        broken(link, uv_strerror(status));
    else
        try_next(link);
}

int bh_redis_link_open(struct bh_loop *const loop, const struct bh_redis_address *const address,
                       struct bh_tls *const tls, const struct bh_redis_link_hooks *const hooks,
                       void *const owner, struct bh_redis_link **const ret_link)
{
    const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
    struct bh_redis_link *const link = calloc(1, sizeof(*link));
    if (!link)
        return BH_ENOMEM;
    link->magic = LINK_MAGIC;
    link->loop = loop;
    link->address = address;
    link->tls = tls;
    link->hooks = hooks;
    link->owner = owner;
    link->resolve.data = link;
    bh_buf_init(&link->writing, BH_REDIS_BYTES_MAX);
    bh_buf_init(&link->cipher, CIPHER_BYTES_MAX);
    link->reader = redisReaderCreate();
    const int result = link->reader ? uv_getaddrinfo(bh_loop_uv(loop), &link->resolve, on_resolved,
                                                     address->host, address->port, &wanted)
                                    : UV_ENOMEM;
    if (result < 0) {
        free_link(link);
        return result == UV_ENOMEM ? BH_ENOMEM : BH_EIO;
    }
    link->is_resolving = true;
    *ret_link = link;
    return 0;
}

void bh_redis_link_close(struct bh_redis_link *const link)
{
    if (!link)
        return;
    bh_magic_check(link, LINK_MAGIC);
    link->owner = NULL;
    if (link->is_resolving)
        uv_cancel((uv_req_t *)&link->resolve); /* or it ends by itself */
    if (link->has_tcp && !uv_is_closing((uv_handle_t *)&link->tcp))
        uv_close((uv_handle_t *)&link->tcp, on_tcp_closed);
    free_link(link);
}

/* ---- Sending ---- */

static void on_written(uv_write_t *const request, const int status)
{
    struct bh_redis_link *const link = request->data;
    bh_magic_check(link, LINK_MAGIC);
    link->is_writing = false;
    if (!link->owner)
        return;
    if (status < 0) {
        broken(link, uv_strerror(status));
        return;
    }
    transmit(link);
    if (!link->owner || link->is_writing)
        return;
    if (link->is_connected)
        link->hooks->drained(link->owner);
    else if (link->is_secure)
        connected(link);
}

/* Sends `from` and leaves it empty. */
static void send_bytes(struct bh_redis_link *const link, struct bh_buf *const from)
{
    const struct bh_buf empty = link->writing;
    link->writing = *from;
    *from = empty;
    bh_buf_clear(from);
    uv_stream_t *const stream = (uv_stream_t *)&link->tcp;
    uv_buf_t rest = uv_buf_init(link->writing.data, (unsigned)link->writing.size);
    const int sent = uv_try_write(stream, &rest, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        broken(link, uv_strerror(sent));
        return;
    }
    if (sent > 0)
        rest = uv_buf_init(rest.base + sent, (unsigned)rest.len - (unsigned)sent);
    if (rest.len == 0)
        return;
    link->write.data = link;
    const int result = uv_write(&link->write, stream, &rest, 1, on_written);
    if (result < 0)
        broken(link, uv_strerror(result));
    else
        link->is_writing = true;
}

/* Sends the ciphertext there is, unless some is on its way. */
static void transmit(struct bh_redis_link *const link)
{
    if (!link->is_writing && link->cipher.size > 0)
        send_bytes(link, &link->cipher);
}

void bh_redis_link_send(struct bh_redis_link *const link, struct bh_buf *const buf)
{
    bh_magic_check(link, LINK_MAGIC);
    bh_assert(link->owner);
    if (link->is_writing || buf->size == 0)
        return;
    if (!link->tls) {
        send_bytes(link, buf);
        return;
    }
    struct bh_tls_io io = { .output = &link->cipher };
    const int result = bh_tls_session_write(link->session, &io, bh_buf_peek(buf));
    bh_buf_clear(buf);
    if (result < 0)
        broken(link, "no memory for TLS");
    else
        transmit(link);
}
