/* Percent escapes are checked where they are decoded (urlcode.c), not here. */
#include "http/target.h"

#include "http/chars.h"

static bool take_scheme(struct bh_str *const rest, const struct bh_str scheme)
{
    if (rest->size < scheme.size ||
        !bh_str_equal_nocase((struct bh_str){ rest->data, scheme.size }, scheme))
        return false;
    rest->data += scheme.size;
    rest->size -= scheme.size;
    return true;
}

/* Splits at the first '?'. */
static void split_query(const struct bh_str text, struct bh_target *const target)
{
    const char *const mark = text.size == 0 ? NULL : memchr(text.data, '?', text.size);
    target->path = text;
    if (mark) {
        target->path.size = (size_t)(mark - text.data);
        target->query = (struct bh_str){ mark + 1, text.size - target->path.size - 1 };
    }
}

static int parse_absolute(struct bh_str rest, const enum bh_http_method method,
                          struct bh_target *const target)
{
    if (!take_scheme(&rest, BH_STR("http://")) && !take_scheme(&rest, BH_STR("https://")))
        return BH_ESYNTAX;
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?')
        size++;
    target->authority = (struct bh_str){ rest.data, size };
    if (size == 0 || !bh_host_is_valid(target->authority))
        return BH_ESYNTAX;
    split_query((struct bh_str){ rest.data + size, rest.size - size }, target);
    target->is_asterisk = method == BH_METHOD_OPTIONS && size == rest.size;
    return 0;
}

int bh_target_parse(const struct bh_str text, const enum bh_http_method method,
                    struct bh_target *const ret_target)
{
    if (text.size == 0 || !bh_chars_are(text, BH_CHAR_TARGET))
        return BH_ESYNTAX;
    struct bh_target target = { .authority = BH_STR_NONE };
    if (text.data[0] == '/') {
        split_query(text, &target);
    } else if (bh_str_equal(text, BH_STR("*")) && method == BH_METHOD_OPTIONS) {
        target.path = text;
        target.is_asterisk = true;
    } else if (parse_absolute(text, method, &target) < 0) {
        return BH_ESYNTAX;
    }
    *ret_target = target;
    return 0;
}

static bool is_port(const struct bh_str text)
{
    if (text.size > 5)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return true;
}

/* "[" address "]" [":" port]; the address is compared with nothing, so its letters are enough. */
static bool is_bracketed(const struct bh_str host)
{
    const char *const close = memchr(host.data, ']', host.size);
    if (!close || close == host.data + 1)
        return false;
    for (const char *at = host.data + 1; at < close; at++) {
        if (bh_char_hex(*at) < 0 && *at != ':' && *at != '.')
            return false;
    }
    const struct bh_str rest = { close + 1, host.size - (size_t)(close + 1 - host.data) };
    if (rest.size == 0)
        return true;
    return rest.data[0] == ':' && is_port((struct bh_str){ rest.data + 1, rest.size - 1 });
}

bool bh_host_is_valid(const struct bh_str host)
{
    if (host.size == 0)
        return true;
    if (!bh_chars_are(host, BH_CHAR_HOST))
        return false;
    if (host.data[0] == '[')
        return is_bracketed(host);
    struct bh_str port = host;
    const struct bh_str name = bh_str_split(&port, ':');
    return name.size > 0 && !memchr(name.data, '[', name.size) &&
           !memchr(name.data, ']', name.size) && is_port(port);
}
