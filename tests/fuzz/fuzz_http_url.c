/* URLs: targets are split without loss, decoding shortens and agrees with comparing, what is called
 * valid decodes to UTF-8 without NUL. */
#include <stdint.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "http/target.h"
#include "http/urlcode.h"

static void check_target(const struct bh_str text, const enum bh_http_method method)
{
    struct bh_target target;
    if (bh_target_parse(text, method, &target) < 0)
        return;
    bh_assert(bh_host_is_valid(target.authority));
    bh_assert(target.path.size == 0 || target.path.data[0] == '/' || target.is_asterisk);
    bh_assert(target.authority.size > 0 || target.path.size > 0);
    bh_assert(target.path.size == 0 || !memchr(target.path.data, '?', target.path.size));
    bh_assert(target.authority.size + target.path.size + target.query.size <= text.size);
}

static void check_decoding(const struct bh_str text, char *const scratch)
{
    size_t size = 0;
    const int result = bh_url_decode(text, true, scratch, &size);
    bh_assert(result == 0 || result == BH_ESYNTAX);
    if (result == 0) {
        bh_assert(size <= text.size);
        bh_assert(bh_url_decodes_to(text, (struct bh_str){ scratch, size }));
        bh_assert(bh_url_is_coded(text, true) || size == text.size);
    }
    if (bh_url_is_valid(text, scratch)) {
        bh_assert(bh_url_decode(text, false, scratch, &size) == 0);
        const struct bh_str decoded = { scratch, size };
        bh_assert(bh_str_is_utf8(decoded));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *const bytes, const size_t count)
{
    const struct bh_str text = { (const char *)bytes, count };
    char *const scratch = malloc(count + 1);
    bh_assert(scratch != NULL);
    check_target(text, BH_METHOD_GET);
    check_target(text, BH_METHOD_OPTIONS);
    check_decoding(text, scratch);
    struct bh_str rest = text;
    struct bh_str name;
    struct bh_str value;
    size_t used = 0;
    while (bh_query_next(&rest, &name, &value)) {
        used += name.size + value.size;
        check_decoding(name, scratch);
        check_decoding(value, scratch);
    }
    bh_assert(used <= count);
    free(scratch);
    return 0;
}
