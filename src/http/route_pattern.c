#include "http/route_pattern.h"

#include "http/chars.h"

#define METHOD_MAX 32

static bool take_prefix(struct bh_str *const text, const char first)
{
    if (text->size == 0 || text->data[0] != first)
        return false;
    text->data++;
    text->size--;
    return true;
}

static bool take_suffix(struct bh_str *const text, const struct bh_str suffix)
{
    if (!bh_str_ends_with(*text, suffix))
        return false;
    text->size -= suffix.size;
    return true;
}

bool bh_pattern_next(struct bh_str *const rest, struct bh_pattern_segment *const ret_segment)
{
    if (!take_prefix(rest, '/'))
        return false;
    size_t size = 0;
    while (size < rest->size && rest->data[size] != '/')
        size++;
    struct bh_pattern_segment segment = { .kind = BH_PATTERN_LITERAL,
                                          .text = { rest->data, size } };
    rest->data += size;
    rest->size -= size;
    if (take_prefix(&segment.text, '{')) {
        take_suffix(&segment.text, BH_STR("}"));
        segment.kind = take_suffix(&segment.text, BH_STR("...")) ? BH_PATTERN_REST
                                                                 : BH_PATTERN_NAME;
    }
    *ret_segment = segment;
    return true;
}

int bh_pattern_parameter(const char *const pattern, const struct bh_str name)
{
    struct bh_str rest = bh_str_from(pattern);
    struct bh_pattern_segment segment;
    int number = 0;
    while (bh_pattern_next(&rest, &segment)) {
        if (segment.kind == BH_PATTERN_LITERAL)
            continue;
        if (bh_str_equal(segment.text, name))
            return number;
        number++;
    }
    return -1;
}

static bool is_name(const struct bh_str text)
{
    for (size_t i = 0; i < text.size; i++) {
        const char byte = text.data[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '_')
            return false;
    }
    return text.size > 0;
}

/* A literal that a path could hold: no braces, no query, nothing that must be escaped. */
static bool is_literal(const struct bh_str text)
{
    for (size_t i = 0; i < text.size; i++) {
        const char byte = text.data[i];
        if (!bh_char_is(byte, BH_CHAR_TARGET) || memchr("{}?%", byte, 4))
            return false;
    }
    return true;
}

/* Braces must enclose a whole segment, which bh_pattern_next does not check. */
static bool is_braced(const struct bh_str pattern, const struct bh_str name,
                      const enum bh_pattern_kind kind)
{
    const size_t dots = kind == BH_PATTERN_REST ? 3 : 0;
    const size_t close = (size_t)(name.data + name.size - pattern.data) + dots;
    return close < pattern.size && pattern.data[close] == '}';
}

int bh_pattern_check(const struct bh_route *const route, struct bh_error *const reterr)
{
    const struct bh_str method = bh_str_from(route->method);
    if (!route->handler || method.size == 0 || method.size > METHOD_MAX ||
        !bh_chars_are(method, BH_CHAR_TOKEN))
        return bh_error_set(reterr, BH_EINVAL, "route %s: needs a method and a handler",
                            route->pattern ? route->pattern : "(none)");

    const struct bh_str pattern = bh_str_from(route->pattern);
    struct bh_str rest = pattern;
    struct bh_pattern_segment segment;
    size_t names = 0;
    bool is_closed = false; /* behind {name...} */
    while (bh_pattern_next(&rest, &segment)) {
        const bool is_good = segment.kind == BH_PATTERN_LITERAL
                                 ? is_literal(segment.text)
                                 : is_name(segment.text) &&
                                       is_braced(pattern, segment.text, segment.kind) &&
                                       bh_pattern_parameter(route->pattern, segment.text) ==
                                           (int)names;
        names += segment.kind != BH_PATTERN_LITERAL;
        if (!is_good || is_closed || names > BH_ROUTE_PARAMETERS_MAX)
            return bh_error_set(reterr, BH_EINVAL, "route pattern \"%s\" is malformed at \"%.*s\"",
                                route->pattern, BH_STR_ARGS(segment.text));
        is_closed = segment.kind == BH_PATTERN_REST;
    }
    if (pattern.size == 0 || rest.size > 0)
        return bh_error_set(reterr, BH_EINVAL, "route pattern \"%s\" must begin with /",
                            route->pattern ? route->pattern : "");
    return 0;
}
