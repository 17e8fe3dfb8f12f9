/*
 * multipart/form-data (RFC 7578, RFC 2046) as a pure, incremental parser: bytes in, events out.
 * bulkhead/http/multipart.h drives it with a request's body. One thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/http/multipart.h"

#define BH_MULTIPART_BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

/* Embedded or in an arena. Holds a part's head, so slices of it live until the next part. */
struct bh_multipart_parser {
    char delimiter[4 + BH_MULTIPART_BOUNDARY_MAX]; /* private: CR LF "--" boundary */
    size_t delimiter_size;                         /* private */
    size_t matched;                                /* private: bytes of it matched so far */
    size_t head_size;                              /* private */
    unsigned part_count;                           /* private */
    int state;                                     /* private */
    char head[BH_MULTIPART_HEAD_MAX];              /* private */
};

/* What bh_multipart_parser_next returns besides errors. */
enum bh_multipart_progress { BH_MULTIPART_EVENT, BH_MULTIPART_MORE };

/* `boundary` of a Content-Type value. BH_EUNSUPPORTED: not multipart/form-data. BH_ESYNTAX: no or a
 * malformed boundary. *ret_boundary is written into `to`. */
int bh_multipart_boundary(struct bh_str content_type, char to[BH_MULTIPART_BOUNDARY_MAX],
                          struct bh_str *ret_boundary, struct bh_error *reterr) BH_MUST_CHECK;

void bh_multipart_parser_init(struct bh_multipart_parser *parser, struct bh_str boundary);

/* Cuts what it understands off *input. BH_MULTIPART_EVENT: *ret_item is set (its data may be a
 * slice of the input). BH_MULTIPART_MORE: the input is used up. BH_ESYNTAX, BH_ELIMIT. */
int bh_multipart_parser_next(struct bh_multipart_parser *parser, struct bh_str *input,
                             struct bh_multipart_item *ret_item,
                             struct bh_error *reterr) BH_MUST_CHECK;
