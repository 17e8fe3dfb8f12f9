#include "bulkhead/http/multipart.h"

#include "http/multipart_parser.h"
#include "http/request_internal.h"

struct bh_multipart {
    struct bh_request *request;
    struct bh_multipart_parser parser;
    struct bh_str input; /* what is left of the last piece */
    bool has_ended;      /* the body is used up */
};

int bh_multipart_begin(struct bh_request *const request, struct bh_multipart **const ret_multipart,
                       struct bh_error *const reterr)
{
    char text[BH_MULTIPART_BOUNDARY_MAX];
    struct bh_str boundary;
    const int result = bh_multipart_boundary(bh_request_header(request, "Content-Type"), text,
                                             &boundary, reterr);
    if (result < 0)
        return result;
    struct bh_multipart *const multipart = bh_arena_alloc(bh_request_arena(request),
                                                          sizeof(*multipart));
    if (!multipart)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to read the form");
    bh_multipart_parser_init(&multipart->parser, boundary);
    multipart->request = request;
    multipart->input = BH_STR_NONE;
    multipart->has_ended = false;
    if (!request->match.route->stream_body) {
        multipart->input = bh_request_body(request);
        multipart->has_ended = true;
    }
    *ret_multipart = multipart;
    return 0;
}

/* The next piece of the body. */
static int refill(struct bh_multipart *const multipart, struct bh_error *const reterr)
{
    if (multipart->has_ended)
        return bh_error_set(reterr, BH_ESYNTAX,
                            "malformed multipart/form-data: the closing boundary is missing");
    const int result = bh_request_body_read(multipart->request, &multipart->input);
    if (result == BH_ELIMIT)
        return bh_error_set(reterr, result, "the body is longer than this resource takes");
    if (result < 0)
        return bh_error_set(reterr, result, "the body could not be read: %s",
                            bh_error_text(result));
    multipart->has_ended = multipart->input.size == 0;
    return 0;
}

/* What follows the closing boundary is of no use, but belongs to the body. */
static int read_to_end(struct bh_multipart *const multipart, struct bh_error *const reterr)
{
    int result = 0;
    while (result == 0 && !multipart->has_ended)
        result = refill(multipart, reterr);
    return result;
}

int bh_multipart_next(struct bh_multipart *const multipart,
                      struct bh_multipart_item *const ret_item, struct bh_error *const reterr)
{
    for (;;) {
        struct bh_multipart_item item;
        int result = bh_multipart_parser_next(&multipart->parser, &multipart->input, &item, reterr);
        if (result == BH_MULTIPART_EVENT) {
            result = item.event == BH_MULTIPART_END ? read_to_end(multipart, reterr) : 0;
            if (result == 0)
                *ret_item = item;
            return result;
        }
        if (result == BH_MULTIPART_MORE)
            result = refill(multipart, reterr);
        if (result < 0)
            return result;
    }
}
