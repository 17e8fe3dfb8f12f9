/*
 * One HTTP request and its answer, as a handler sees them. All calls from the handler's fiber.
 *
 * Strings handed out live until the handler returns, unless said otherwise. Memory taken from the
 * request's arena is given back after the answer was sent.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"
#include "bulkhead/http/router.h"

/* ---- Who sends it ---- */

#define BH_TENANT_BYTES 12

/* Whom the guard has found behind a request. */
struct bh_principal {
    int64_t user;                     /* positive; 0: nobody */
    unsigned scopes;                  /* a set, as the guard knows it */
    char tenant[BH_TENANT_BYTES + 1]; /* the user in logs: a hash, terminated; "": none */
};

/* What the guard has set: the user's rows are the only ones a handler may touch. Before that, or
 * without a guard, nobody: user 0, no scopes. */
const struct bh_principal *bh_request_principal(const struct bh_request *request);
void bh_request_set_principal(struct bh_request *request, const struct bh_principal *principal);

/* ---- The request ---- */

/* The service's own object, given to bh_http_server_create. */
void *bh_request_service(const struct bh_request *request);
struct bh_arena *bh_request_arena(struct bh_request *request);
struct bh_str bh_request_id(const struct bh_request *request);
struct bh_str bh_request_method(const struct bh_request *request);
struct bh_str bh_request_path(const struct bh_request *request); /* without the query, raw */
struct bh_str bh_request_peer(struct bh_request *request);       /* address without port */
const struct bh_route *bh_request_route(const struct bh_request *request);

/* A header field's value (name without case); several fields of one name are joined by ", ".
 * {NULL, 0} when absent. */
struct bh_str bh_request_header(struct bh_request *request, const char *name);

/* A `{name}` of the route, percent-decoded. */
struct bh_str bh_request_parameter(struct bh_request *request, const char *name);

/* The same as a decimal number within [minimum, maximum]; else BH_EINVAL with the field named. */
int bh_request_parameter_int(struct bh_request *request, const char *name, int64_t minimum,
                             int64_t maximum, int64_t *ret_value,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* A query parameter, percent- and plus-decoded (first of that name). Returns whether it is there.
 * Text that is not valid UTF-8 after decoding was refused with 400 before the handler ran. */
bool bh_request_query(struct bh_request *request, const char *name, struct bh_str *ret_value);

/* The whole body (routes without stream_body). */
struct bh_str bh_request_body(const struct bh_request *request);

/* The next piece of the body (stream_body routes): 0 with *ret_piece, size 0 at the end. The
 * piece lives until the next call. Parks while none is there; reading from the network stops
 * while pieces wait, so memory is bounded. BH_ECLOSED / BH_ECANCELED: the client left.
 * BH_ELIMIT: longer than body_maximum (413 is the right answer). BH_ESYNTAX: malformed chunks
 * (400). BH_ETIMEDOUT: slower than the minimum rate, or past the request's deadline. */
int bh_request_body_read(struct bh_request *request, struct bh_str *ret_piece) BH_MUST_CHECK;

/* Body size as declared, or -1 when it comes in chunks. */
int64_t bh_request_content_length(const struct bh_request *request);

/* Runs the route's handler; for the server's guard, at most once a request. Afterwards
 * bh_request_status tells what was answered: 0 when nothing was. */
int bh_request_handle(struct bh_request *request);
int bh_request_status(const struct bh_request *request);

/* For the server's guard, with a refusal that says when to come again: what this connection sends
 * next is left unread until bh_http_options.room finds room at `refused_by` (borrowed), or for
 * defer_us. So whoever does not wait as told costs nothing meanwhile. */
void bh_request_defer_next(struct bh_request *request, void *refused_by);
/* The same after an answer, if other connections wait for room there, or there is none: they have
 * their turn first. */
void bh_request_take_turns(struct bh_request *request, void *refused_by);

/* ---- The answer ---- */

/* Adds a header field to the answer; before it is sent. Values with CR, LF or NUL are a programmer
 * error. Date, Content-Length, Connection, X-Request-ID and X-Response-Time are the layer's. */
void bh_response_header(struct bh_request *request, const char *name, struct bh_str value);
/* The same for several fields of which nothing came from outside: whole lines, each with its CRLF,
 * unchecked. */
void bh_response_lines(struct bh_request *request, struct bh_str lines);

/* Sends a whole answer. The body is copied. 0, or BH_ECANCELED when the client has gone. */
int bh_respond(struct bh_request *request, int status, const char *content_type,
               struct bh_str body);

/* The same from up to three pieces, one behind the other; they are copied only as far as the client
 * does not take them at once. */
int bh_respond_pieces(struct bh_request *request, int status, const char *content_type,
                      const struct bh_str *pieces, unsigned count);

/* The same for a JSON text; takes the buffer's content over (it is empty afterwards): no copy. */
int bh_respond_json_take(struct bh_request *request, int status, struct bh_buf *json);

/* {"error": reason phrase, "detail": formatted, "request_id": …} */
int bh_respond_error(struct bh_request *request, int status, const char *format, ...)
    BH_PRINTF(3, 4);

/* The fitting status for an error of a lower layer (BH_ENOTFOUND 404, BH_EINVAL 422, BH_ESYNTAX
 * 400, BH_ELIMIT 413, BH_EUNAVAILABLE, BH_ETIMEDOUT, BH_EBUSY 503 with the error's Retry-After,
 * BH_ECONFLICT and BH_EEXISTS 409, BH_EACCESS 403, BH_ENOSPACE 507, else 500), its message as the
 * detail. */
int bh_respond_failure(struct bh_request *request, const struct bh_error *error);

/* A streamed answer (chunked; HTTP/1.0: until close). Parks in write while more than 64 KiB
 * wait for the client; that time is added to the request's deadline, which holds on.
 * BH_ECANCELED: the client has gone or stalled past the write-progress time-out. BH_ETIMEDOUT. */
int bh_stream_begin(struct bh_request *request, int status, const char *content_type) BH_MUST_CHECK;
int bh_stream_write(struct bh_request *request, struct bh_str data) BH_MUST_CHECK;
int bh_stream_end(struct bh_request *request) BH_MUST_CHECK;
/* From now on `text` (a literal) is sent whenever nothing was for the server's heartbeat interval,
 * so that nobody on the way takes the stream for dead. Never within what one write gives. After
 * begin. */
void bh_stream_set_heartbeat(struct bh_request *request, struct bh_str text);
/* After any write or answer: parks until the system has taken all of it. 0, or BH_ECANCELED as
 * above. */
int bh_stream_wait_sent(struct bh_request *request) BH_MUST_CHECK;
/* Breaks the answer off so that the client sees it is incomplete; what it shall read of it before
 * that was waited for. */
void bh_stream_abort(struct bh_request *request);
