/*
 * multipart/form-data (RFC 7578), read as it arrives. Feeding and events are pure; memory is
 * bounded by the limits below whatever comes.
 */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/http/request.h"

struct bh_multipart; /* opaque */

#define BH_MULTIPART_PARTS_MAX 64
#define BH_MULTIPART_HEAD_MAX 8192 /* bytes of a part's header fields */

enum bh_multipart_event {
    BH_MULTIPART_PART, /* a part begins: name, filename, content_type are set */
    BH_MULTIPART_DATA, /* a piece of its content */
    BH_MULTIPART_END   /* the closing boundary was read */
};

struct bh_multipart_item {
    enum bh_multipart_event event;
    struct bh_str name;     /* PART; lives until the next PART */
    struct bh_str filename; /* PART; {NULL, 0} for a plain field; the last path component only */
    struct bh_str content_type; /* PART */
    struct bh_str data;         /* DATA; lives until the next call */
};

/* Reads the boundary from the Content-Type. BH_EUNSUPPORTED: not multipart/form-data (415).
 * BH_ESYNTAX: no or a malformed boundary. Memory from the request's arena. */
int bh_multipart_begin(struct bh_request *request, struct bh_multipart **ret_multipart,
                       struct bh_error *reterr) BH_MUST_CHECK;

/* The next event; parks like bh_request_body_read and returns its errors. BH_ESYNTAX: malformed
 * or cut short. */
int bh_multipart_next(struct bh_multipart *multipart, struct bh_multipart_item *ret_item,
                      struct bh_error *reterr) BH_MUST_CHECK;
