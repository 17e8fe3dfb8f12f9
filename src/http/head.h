/*
 * Strict parser for the head of an HTTP/1.x request (RFC 9112), over one contiguous buffer.
 *
 * Incremental: call it again with the same start and more bytes; each byte is looked at once.
 * Zero-copy: results are offsets from the buffer's start, so the buffer may move between calls.
 * What another parser might read in a second way is refused, never repaired; the refusals stand in
 * head_refusals.def with their status. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/base/str.h"

#define BH_HEAD_FIELDS_MAX 128
#define BH_HEAD_BYTES_MAX 65000 /* so that offsets fit 16 bits */
#define BH_HEAD_METHOD_MAX 32   /* bytes of a method name */

enum bh_http_method {
    BH_METHOD_OTHER,
    BH_METHOD_GET,
    BH_METHOD_HEAD,
    BH_METHOD_POST,
    BH_METHOD_PUT,
    BH_METHOD_PATCH,
    BH_METHOD_DELETE,
    BH_METHOD_OPTIONS,
    BH_METHOD_COUNT
};

enum bh_head_refusal {
    BH_HEAD_ACCEPTED,
#define BH_HEAD_REFUSAL(id, status, label, text) BH_HEAD_##id,
#include "http/head_refusals.def"
#undef BH_HEAD_REFUSAL
    BH_HEAD_REFUSAL_COUNT
};

enum bh_head_result { BH_HEAD_MORE, BH_HEAD_DONE, BH_HEAD_REFUSED };

struct bh_head_slice {
    uint16_t at; /* bytes from the head's start */
    uint16_t size;
};

struct bh_head_field {
    struct bh_head_slice name;
    struct bh_head_slice value; /* without blanks around it */
};

struct bh_head_limits {
    size_t bytes_maximum;    /* of the whole head; at most BH_HEAD_BYTES_MAX */
    size_t target_maximum;   /* bytes of the request target */
    unsigned fields_maximum; /* at most BH_HEAD_FIELDS_MAX */
};

/* Read-only for others; valid as a whole once bh_head_parse returned BH_HEAD_DONE. */
struct bh_head {
    int64_t content_length; /* -1: none; saturates at INT64_MAX */
    enum bh_http_method method_id;
    enum bh_head_refusal refusal;
    struct bh_head_slice method;
    struct bh_head_slice path;  /* of the target, up to '?'; see bh_head_path */
    struct bh_head_slice query; /* behind '?' */
    uint16_t size;              /* bytes of the head, with the empty line */
    uint16_t field_count;
    uint8_t minor_version; /* 0 or 1 */
    bool is_asterisk;      /* OPTIONS * */
    bool is_chunked;
    bool keep_alive;      /* by version and Connection */
    bool expect_continue; /* HTTP/1.1 only */

    /* private: where the parser stands */
    bool has_request_line;
    bool has_leading_line;
    bool has_transfer_encoding;
    bool has_connection_close;
    bool has_connection_keep_alive;
    int16_t host_field; /* index, or -1 */
    uint16_t line_at;
    uint16_t scanned;
    struct bh_head_slice target;
    struct bh_head_slice authority; /* of an absolute-form target */
    struct bh_head_field fields[BH_HEAD_FIELDS_MAX];
};

void bh_head_init(struct bh_head *head);

/* `data`: from the first byte of the request; `available`: all that is there, possibly more than
 * the head. After BH_HEAD_REFUSED `refusal` tells why. */
enum bh_head_result bh_head_parse(struct bh_head *head, const struct bh_head_limits *limits,
                                  const char *data, size_t available);

/* Status, metrics label ("bare_cr") and text for people of a refusal. */
int bh_head_refusal_status(enum bh_head_refusal refusal);
const char *bh_head_refusal_label(enum bh_head_refusal refusal);
const char *bh_head_refusal_text(enum bh_head_refusal refusal);

static inline struct bh_str bh_head_slice_str(const struct bh_head_slice slice,
                                              const char *const data)
{
    return (struct bh_str){ .data = data + slice.at, .size = slice.size };
}

/* The path: "/" when an absolute-form target has none, "*" for OPTIONS *. */
struct bh_str bh_head_path(const struct bh_head *head, const char *data);

/* The value of the first field of that name (without case); {NULL, 0}: none. In an absolute-form
 * request, Host is the target's authority, as RFC 9112 section 3.2.2 demands. */
struct bh_str bh_head_field(const struct bh_head *head, const char *data, struct bh_str name);

enum bh_http_method bh_http_method_from(struct bh_str name);
const char *bh_http_method_text(enum bh_http_method method); /* "GET"; "OTHER" */
