/* What a handler asks of its request. */
#include "http/connection.h"
#include "http/defer.h"

#include "http/route_pattern.h"
#include "http/urlcode.h"

void *bh_request_service(const struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    return request->http->service;
}

struct bh_arena *bh_request_arena(struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    return request->arena;
}

struct bh_str bh_request_id(const struct bh_request *const request)
{
    return request->log_context.request_id;
}

struct bh_str bh_request_method(const struct bh_request *const request)
{
    return request->method;
}

struct bh_str bh_request_path(const struct bh_request *const request)
{
    return request->path;
}

struct bh_str bh_request_peer(struct bh_request *const request)
{
    if (!request->peer[0])
        bh_connection_peer(request->connection, request->peer);
    return bh_str_from(request->peer);
}

const struct bh_route *bh_request_route(const struct bh_request *const request)
{
    return request->match.route;
}

const struct bh_principal *bh_request_principal(const struct bh_request *const request)
{
    return &request->principal;
}

void bh_request_set_principal(struct bh_request *const request,
                              const struct bh_principal *const principal)
{
    request->principal = *principal;
    request->log_context.tenant = bh_str_from(request->principal.tenant);
}

void bh_request_defer_next(struct bh_request *const request, void *const refused_by)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    request->connection->is_deferred = true;
    request->connection->refused_by = refused_by;
}

void bh_request_take_turns(struct bh_request *const request, void *const refused_by)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    if (bh_defer_is_due(request->connection->http, refused_by))
        bh_request_defer_next(request, refused_by);
}

int bh_request_status(const struct bh_request *const request)
{
    return request->answer.status;
}

int64_t bh_request_content_length(const struct bh_request *const request)
{
    return request->head.is_chunked           ? -1
           : request->head.content_length < 0 ? 0
                                              : request->head.content_length;
}

struct bh_str bh_request_body(const struct bh_request *const request)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    return request->body.whole;
}

/* ---- Header fields ---- */

/* The second and later fields of the name are appended to the first, in the arena. */
static struct bh_str join_fields(struct bh_request *const request, const struct bh_str name,
                                 const size_t size, const size_t count)
{
    char *const text = bh_arena_alloc(request->arena, size + 2 * count);
    if (!text)
        return BH_STR_NONE;
    char *to = text;
    for (unsigned i = 0; i < request->head.field_count; i++) {
        const struct bh_head_field *const field = &request->head.fields[i];
        if (!bh_str_equal_nocase(bh_head_slice_str(field->name, request->data), name))
            continue;
        if (to > text)
            to = mempcpy(to, ", ", 2);
        to = mempcpy(to, request->data + field->value.at, field->value.size);
    }
    return (struct bh_str){ text, (size_t)(to - text) };
}

struct bh_str bh_request_header(struct bh_request *const request, const char *const name)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    const struct bh_str wanted = bh_str_from(name);
    struct bh_str value = BH_STR_NONE;
    size_t size = 0;
    size_t count = 0;
    for (unsigned i = 0; i < request->head.field_count; i++) {
        const struct bh_head_field *const field = &request->head.fields[i];
        if (!bh_str_equal_nocase(bh_head_slice_str(field->name, request->data), wanted))
            continue;
        value = bh_head_slice_str(field->value, request->data);
        size += value.size;
        count++;
    }
    return count > 1 ? join_fields(request, wanted, size, count) : value;
}

/* ---- Parameters and query ---- */

/* `text` decoded, in the arena if it differs; {NULL, 0} when that is exhausted. The coding was
 * checked at dispatch. */
static struct bh_str decode(struct bh_request *const request, const struct bh_str text,
                            const bool plus_is_space)
{
    if (!bh_url_is_coded(text, plus_is_space))
        return text;
    char *const to = bh_arena_alloc(request->arena, text.size);
    size_t size;
    if (!to || bh_url_decode(text, plus_is_space, to, &size) < 0)
        return BH_STR_NONE;
    return (struct bh_str){ to, size };
}

struct bh_str bh_request_parameter(struct bh_request *const request, const char *const name)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    bh_assert(request->match.route != NULL);
    const int number = bh_pattern_parameter(request->match.route->pattern, bh_str_from(name));
    bh_assert(number >= 0 && (size_t)number < request->match.parameter_count);
    return decode(request, request->match.parameters[number], false);
}

int bh_request_parameter_int(struct bh_request *const request, const char *const name,
                             const int64_t minimum, const int64_t maximum, int64_t *const ret_value,
                             struct bh_error *const reterr)
{
    const struct bh_str text = bh_request_parameter(request, name);
    const bool is_signed = text.size > 0 && text.data[0] == '+';
    if (!is_signed && bh_str_to_int64(text, minimum, maximum, ret_value) == 0)
        return 0;
    return bh_error_set(reterr, BH_EINVAL, "%s must be a number from %lld to %lld", name,
                        (long long)minimum, (long long)maximum);
}

bool bh_request_query(struct bh_request *const request, const char *const name,
                      struct bh_str *const ret_value)
{
    bh_magic_check(request, BH_REQUEST_MAGIC);
    struct bh_str rest = request->query;
    struct bh_str coded_name;
    struct bh_str value;
    while (bh_query_next(&rest, &coded_name, &value)) {
        if (!bh_url_decodes_to(coded_name, bh_str_from(name)))
            continue;
        *ret_value = decode(request, value, true);
        return true;
    }
    return false;
}
