/*
 * TLS between the socket and the connection. The session (bulkhead/tls) turns bytes into bytes;
 * here they are moved.
 *
 * Reading: what the socket gives goes through the session at once, into room of the owner's. When
 * the owner stops reading midway, the rest is kept (64 KiB at most) and the socket is left alone;
 * when it starts again, the kept comes first, in a turn of its own, as no event may come from
 * within a call.
 *
 * Writing: plaintext waits as it was given, like a plain transport's, and is encrypted when the
 * socket has taken what was encrypted before. So what waits for a slow reader costs what it costs
 * without TLS, and 32 KiB more.
 */
#include "http/transport_tls.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"

/* Plaintext encrypted at a time: little enough to lie in a near cache with its ciphertext. */
#define STEP_BYTES 32768
#define OUTPUT_MAX (8 * STEP_BYTES)

/* Ciphertext that a peer may make us owe it by what it sends alone (key updates, alerts). */
#define OWED_BYTES_MAX (4 * STEP_BYTES)

struct bh_transport_secure {
    struct bh_transport *transport;
    struct bh_transport_tls *shared;
    struct bh_tls_session *session;
    struct bh_list ready; /* node in shared->ready */
    struct bh_buf kept;   /* ciphertext that was read and not yet looked at */
    struct bh_list waiting;
    size_t waiting_bytes;
    uint64_t overhead; /* ciphertext made, less the plaintext that went into it */
    bool has_begun;    /* the peer has said something */
    bool is_shaken;
    bool has_finished; /* the peer was told that nothing more comes */
    bool is_over;      /* no step of the session may follow */
};

static void pump(struct bh_transport_secure *secure, struct bh_str input);
static void read_socket(struct bh_transport_secure *secure);

static uv_stream_t *stream_of(const struct bh_transport_secure *const secure)
{
    return (uv_stream_t *)&secure->transport->tcp;
}

/* ---- What a loop's transports share ---- */

static void go_on(uv_idle_t *const handle)
{
    struct bh_transport_tls *const tls = handle->data;
    struct bh_list due;
    bh_list_init(&due);
    for (struct bh_list *node; (node = bh_list_pop(&tls->ready));)
        bh_list_append(&due, node);
    uv_idle_stop(handle);
    for (struct bh_list *node; (node = bh_list_pop(&due));) {
        struct bh_transport_secure *const secure = BH_LIST_ENTRY(node, struct bh_transport_secure,
                                                                 ready);
        pump(secure, bh_buf_peek(&secure->kept));
    }
}

struct bh_transport_tls *bh_transport_tls_create(struct bh_tls *const context)
{
    struct bh_transport_tls *const tls = calloc(1, sizeof(*tls));
    if (!tls)
        return NULL;
    tls->context = context;
    bh_buf_init(&tls->output, OUTPUT_MAX);
    bh_list_init(&tls->ready);
    return tls;
}

void bh_transport_tls_start(struct bh_transport_tls *const tls, uv_loop_t *const uv)
{
    uv_idle_init(uv, &tls->go_on);
    tls->go_on.data = tls;
}

void bh_transport_tls_close(struct bh_transport_tls *const tls, const uv_close_cb closed,
                            void *const owner)
{
    bh_assert(bh_list_is_empty(&tls->ready));
    tls->go_on.data = owner;
    uv_close((uv_handle_t *)&tls->go_on, closed);
}

void bh_transport_tls_destroy(struct bh_transport_tls *const tls)
{
    if (!tls)
        return;
    bh_buf_fini(&tls->output);
    free(tls);
}

/* ---- Ciphertext to the socket ---- */

/* Sends the output of a step. */
static int send_output(struct bh_transport_secure *const secure)
{
    struct bh_buf *const output = &secure->shared->output;
    const struct bh_str ciphertext = bh_buf_peek(output);
    if (ciphertext.size == 0)
        return 0;
    secure->overhead += ciphertext.size;
    const int result = bh_transport_send(secure->transport, &ciphertext, 1, BH_TRANSPORT_COPY,
                                         NULL);
    bh_buf_clear(output);
    return result;
}

static size_t sending_bytes(const struct bh_transport_secure *const secure)
{
    return uv_stream_get_write_queue_size(stream_of(secure));
}

/* ---- Plaintext to ciphertext ---- */

static void advance(struct bh_str *const piece, const size_t count)
{
    piece->data += count;
    piece->size -= count;
}

/* Fills one record from the pieces; large ones are read where they are. */
static int encrypt_record(struct bh_transport_secure *const secure, struct bh_tls_io *const io,
                          struct bh_str *const pieces, const unsigned count, size_t *const ret_size)
{
    char *const joined = secure->shared->joined;
    size_t size = 0;
    for (unsigned i = 0; i < count && size < BH_TLS_RECORD_BYTES; i++) {
        const size_t room = BH_TLS_RECORD_BYTES - size;
        const size_t part = pieces[i].size < room ? pieces[i].size : room;
        if (part == BH_TLS_RECORD_BYTES) {
            const struct bh_str whole = { pieces[i].data, part };
            advance(&pieces[i], part);
            *ret_size = part;
            return bh_tls_session_write(secure->session, io, whole);
        }
        if (part > 0)
            memcpy(joined + size, pieces[i].data, part);
        size += part;
        advance(&pieces[i], part);
    }
    *ret_size = size;
    return size == 0 ? 0
                     : bh_tls_session_write(secure->session, io, (struct bh_str){ joined, size });
}

/* Encrypts from the pieces' start, and sends, until the socket takes no more or nothing is left. */
static int encrypt(struct bh_transport_secure *const secure, struct bh_str *const pieces,
                   const unsigned count)
{
    struct bh_tls_io io = { .output = &secure->shared->output };
    size_t size = 1;
    while (size > 0 && sending_bytes(secure) == 0) {
        size_t gathered = 0;
        int result = 0;
        do {
            result = encrypt_record(secure, &io, pieces, count, &size);
            gathered += size;
            secure->overhead -= size;
        } while (result == 0 && size == BH_TLS_RECORD_BYTES && gathered < STEP_BYTES);
        if (result == 0)
            result = send_output(secure);
        if (result < 0) {
            bh_buf_clear(&secure->shared->output);
            secure->is_over = true;
            return result;
        }
    }
    return 0;
}

int bh_secure_go_on(struct bh_transport *const transport)
{
    struct bh_transport_secure *const secure = transport->secure;
    while (!bh_list_is_empty(&secure->waiting) && sending_bytes(secure) == 0) {
        struct bh_transport_waiting *const waiting = BH_LIST_ENTRY(
            secure->waiting.next, struct bh_transport_waiting, node);
        struct bh_str *const pieces = waiting->pieces;
        const size_t before = pieces[0].size + pieces[1].size;
        const int result = encrypt(secure, pieces, 2);
        if (result < 0)
            return result;
        const size_t left = pieces[0].size + pieces[1].size;
        secure->waiting_bytes -= before - left;
        if (left > 0)
            break;
        bh_list_unlink(&waiting->node);
        bh_transport_drop(transport, waiting);
    }
    return 0;
}

int bh_secure_write(struct bh_transport *const transport, const struct bh_str *const pieces,
                    const unsigned count, const enum bh_transport_hold hold,
                    struct bh_buf *const taken)
{
    struct bh_transport_secure *const secure = transport->secure;
    struct bh_str left[BH_TRANSPORT_PIECES_MAX];
    memcpy(left, pieces, count * sizeof(*pieces));
    if (secure->is_over || secure->has_finished)
        return BH_ECLOSED;
    int result = 0;
    size_t left_bytes = 0;
    if (secure->is_shaken && bh_list_is_empty(&secure->waiting))
        result = encrypt(secure, left, count);
    for (unsigned i = 0; i < count; i++)
        left_bytes += left[i].size;
    if (result < 0 || left_bytes == 0)
        return result;
    struct bh_transport_waiting *const waiting = bh_transport_keep(transport, left, count, hold,
                                                                   taken);
    if (!waiting)
        return BH_ENOMEM;
    bh_list_append(&secure->waiting, &waiting->node);
    secure->waiting_bytes += left_bytes;
    return 0;
}

size_t bh_secure_waiting(const struct bh_transport *const transport)
{
    return transport->secure->waiting_bytes + sending_bytes(transport->secure);
}

uint64_t bh_secure_overhead(const struct bh_transport *const transport)
{
    return transport->secure->overhead;
}

/* ---- Reading ---- */

static void lost(struct bh_transport_secure *const secure, const int64_t count)
{
    struct bh_transport *const transport = secure->transport;
    secure->is_over |= count < 0;
    transport->is_reading = false;
    uv_read_stop(stream_of(secure));
    transport->events->received(transport, count);
}

/* Its first byte tells: no record of TLS begins with a letter, and every request does. */
static bool is_plain(struct bh_transport_secure *const secure, const struct bh_str input)
{
    const bool is_first = !secure->has_begun && input.size > 0;
    secure->has_begun |= is_first;
    return is_first && input.data[0] >= 'A' && input.data[0] <= 'Z';
}

static void become_plain(struct bh_transport_secure *const secure)
{
    struct bh_transport *const transport = secure->transport;
    bh_transport_read_stop(transport);
    bh_secure_leave(transport);
    bh_secure_destroy(transport);
    transport->events->spoke_plain(transport);
}

/* false: it is not over yet, or it has failed. */
static bool shake(struct bh_transport_secure *const secure, struct bh_tls_io *const io)
{
    const struct bh_transport_events *const events = secure->transport->events;
    struct bh_error error = { 0 };
    const int result = bh_tls_session_handshake(secure->session, io, &error);
    const int sent = send_output(secure); /* a failure's alert as well */
    if (result < 0 || sent < 0) {
        events->shaken(secure->transport,
                       result < 0 ? BH_HANDSHAKE_REFUSED : BH_HANDSHAKE_ABANDONED, &error);
        lost(secure, BH_ECLOSED);
        return false;
    }
    if (result == 0)
        return false;
    secure->is_shaken = true;
    events->shaken(secure->transport,
                   bh_tls_session_is_resumed(secure->session) ? BH_HANDSHAKE_RESUMED
                                                              : BH_HANDSHAKE_FULL,
                   NULL);
    if (bh_secure_go_on(secure->transport) == 0)
        return true;
    lost(secure, BH_ECLOSED);
    return false;
}

/* Hands plaintext over as long as there is some and the owner wants it. A look that finds nothing
 * is left out: it would take a buffer for a record and give it back. */
static void deliver(struct bh_transport_secure *const secure, struct bh_tls_io *const io)
{
    struct bh_transport *const transport = secure->transport;
    while (transport->is_reading &&
           (io->input.size > 0 || bh_tls_session_has_more(secure->session))) {
        const int result = bh_tls_session_look(secure->session, io);
        if (result < 0)
            secure->is_over = result != BH_ECLOSED;
        if (send_output(secure) < 0 || sending_bytes(secure) > OWED_BYTES_MAX) {
            lost(secure, BH_ECLOSED);
        } else if (result < 0) {
            lost(secure, result == BH_ECLOSED ? 0 : BH_ECLOSED);
        } else if (result == 0) {
            return;
        } else {
            const uv_buf_t room = transport->events->room(transport);
            const size_t size = room.len == 0
                                    ? 0
                                    : bh_tls_session_read(secure->session, io, room.base, room.len);
            if (size == 0)
                lost(secure, BH_ECLOSED);
            else
                transport->events->received(transport, (int64_t)size);
        }
    }
}

/* `input`: what was read, or kept. What is not taken is kept. */
static void pump(struct bh_transport_secure *const secure, const struct bh_str input)
{
    struct bh_transport *const transport = secure->transport;
    if (is_plain(secure, input)) {
        become_plain(secure);
        return;
    }
    struct bh_tls_io io = { .input = input, .output = &secure->shared->output };
    if (secure->is_shaken || shake(secure, &io))
        deliver(secure, &io);
    if (uv_is_closing((uv_handle_t *)&transport->tcp))
        return;
    if (secure->kept.size > 0)
        bh_buf_consume(&secure->kept, secure->kept.size - io.input.size);
    else if (io.input.size > 0)
        bh_buf_append_str(&secure->kept, io.input);
    if (bh_buf_error(&secure->kept)) {
        lost(secure, BH_ECLOSED);
    } else if (transport->is_reading) {
        /* All was taken: a session that wants more has nothing left. */
        bh_assert(secure->kept.size == 0);
        bh_buf_fini(&secure->kept);
        read_socket(secure);
    }
}

static void give_room(uv_handle_t *const handle, const size_t suggested, uv_buf_t *const buffer)
{
    (void)suggested;
    struct bh_transport *const transport = BH_CONTAINER_OF(handle, struct bh_transport, tcp);
    *buffer = uv_buf_init(transport->secure->shared->input, BH_TRANSPORT_INPUT_BYTES);
}

static void read_done(uv_stream_t *const stream, const ssize_t count, const uv_buf_t *const buffer)
{
    struct bh_transport *const transport = BH_CONTAINER_OF((uv_handle_t *)stream,
                                                           struct bh_transport, tcp);
    struct bh_transport_secure *const secure = transport->secure;
    if (count > 0) {
        pump(secure, (struct bh_str){ buffer->base, (size_t)count });
    } else if (count < 0) {
        if (!secure->is_shaken)
            transport->events->shaken(transport, BH_HANDSHAKE_ABANDONED, NULL);
        lost(secure, count == UV_EOF && secure->is_shaken ? 0 : BH_ECLOSED);
    }
}

/* Harmless when it is read already. */
static void read_socket(struct bh_transport_secure *const secure)
{
    (void)uv_read_start(stream_of(secure), give_room, read_done);
}

static bool has_kept(const struct bh_transport_secure *const secure)
{
    return secure->kept.size > 0 || bh_tls_session_has_more(secure->session);
}

void bh_secure_read_start(struct bh_transport *const transport)
{
    struct bh_transport_secure *const secure = transport->secure;
    if (transport->is_reading || secure->is_over)
        return;
    transport->is_reading = true;
    if (!has_kept(secure)) {
        read_socket(secure);
    } else if (bh_list_is_empty(&secure->ready)) {
        bh_list_append(&secure->shared->ready, &secure->ready);
        uv_idle_start(&secure->shared->go_on, go_on);
    }
}

void bh_secure_read_stop(struct bh_transport *const transport)
{
    struct bh_transport_secure *const secure = transport->secure;
    if (!transport->is_reading)
        return;
    transport->is_reading = false;
    uv_read_stop(stream_of(secure));
    bh_list_unlink(&secure->ready);
}

bool bh_secure_has_unread(const struct bh_transport *const transport)
{
    return has_kept(transport->secure);
}

bool bh_secure_is_shaking(const struct bh_transport *const transport)
{
    return !transport->secure->is_shaken;
}

/* ---- Beginning and end ---- */

int bh_secure_open(struct bh_transport *const transport, struct bh_transport_tls *const tls)
{
    struct bh_transport_secure *const secure = calloc(1, sizeof(*secure));
    if (!secure || bh_tls_session_create(tls->context, "", &secure->session) < 0) {
        free(secure);
        return BH_ENOMEM;
    }
    secure->transport = transport;
    secure->shared = tls;
    bh_list_init(&secure->ready);
    bh_list_init(&secure->waiting);
    bh_buf_init(&secure->kept, BH_TRANSPORT_INPUT_BYTES);
    transport->secure = secure;
    return 0;
}

/* What the socket does not take now is not worth waiting for. */
void bh_secure_finish(struct bh_transport *const transport)
{
    struct bh_transport_secure *const secure = transport->secure;
    struct bh_buf *const output = &secure->shared->output;
    if (!secure->is_shaken || secure->is_over || secure->has_finished ||
        bh_secure_waiting(transport) > 0)
        return;
    secure->has_finished = true;
    struct bh_tls_io io = { .output = output };
    bh_tls_session_finish(secure->session, &io);
    uv_buf_t buffer = uv_buf_init(output->data, (unsigned)output->size);
    if (output->size > 0)
        (void)uv_try_write(stream_of(secure), &buffer, 1);
    bh_buf_clear(output);
}

void bh_secure_leave(struct bh_transport *const transport)
{
    bh_list_unlink(&transport->secure->ready);
}

void bh_secure_destroy(struct bh_transport *const transport)
{
    struct bh_transport_secure *const secure = transport->secure;
    transport->secure = NULL;
    for (struct bh_list *node; (node = bh_list_pop(&secure->waiting));)
        bh_transport_drop(transport, BH_LIST_ENTRY(node, struct bh_transport_waiting, node));
    bh_buf_fini(&secure->kept);
    bh_tls_session_destroy(secure->session);
    free(secure);
}
