#include "bulkhead/runtime/scope.h"

static const struct {
    enum bh_scope scope;
    struct bh_str name;
} names[] = { { BH_SCOPE_READ, { "read", 4 } },
              { BH_SCOPE_WRITE, { "write", 5 } },
              { BH_SCOPE_ADMIN, { "admin", 5 } } };

struct bh_str bh_scope_name(const enum bh_scope scope)
{
    for (size_t i = 0; i < BH_COUNT_OF(names); i++)
        if (names[i].scope == scope)
            return names[i].name;
    return BH_STR("");
}

unsigned bh_scopes_parse(struct bh_str text, const char separator)
{
    unsigned scopes = 0;
    while (text.size > 0) {
        const struct bh_str name = bh_str_trim(bh_str_split(&text, separator));
        for (size_t i = 0; i < BH_COUNT_OF(names); i++)
            if (bh_str_equal(name, names[i].name))
                scopes |= names[i].scope;
    }
    return scopes;
}

void bh_scopes_write(const unsigned scopes, const char separator, struct bh_buf *const buf)
{
    bool is_first = true;
    for (size_t i = 0; i < BH_COUNT_OF(names); i++) {
        if ((scopes & names[i].scope) == 0)
            continue;
        if (!is_first)
            bh_buf_append_byte(buf, separator);
        bh_buf_append_str(buf, names[i].name);
        is_first = false;
    }
}
