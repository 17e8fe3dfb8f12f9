#include "overload/memory_text.h"

#include <math.h>

/* v1 shows "no limit" as the largest multiple of a page below 2^63. */
#define NEARLY_ALL (UINT64_C(1) << 62)

static int digits(const struct bh_str text, uint64_t *const ret_value)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 20)
        return BH_ESYNTAX;
    for (size_t i = 0; i < text.size; i++) {
        const unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return BH_ESYNTAX;
    }
    *ret_value = value;
    return 0;
}

int bh_memory_number(const struct bh_str text, uint64_t *const ret_value)
{
    const struct bh_str trimmed = bh_str_trim(text);
    uint64_t value = 0;
    if (bh_str_equal(trimmed, BH_STR("max"))) {
        *ret_value = BH_MEMORY_UNLIMITED;
        return 0;
    }
    const int result = digits(trimmed, &value);
    if (result)
        return result;
    *ret_value = value >= NEARLY_ALL ? BH_MEMORY_UNLIMITED : value;
    return 0;
}

int bh_memory_field(struct bh_str text, const struct bh_str key, uint64_t *const ret_value)
{
    while (text.size > 0) {
        struct bh_str line = bh_str_split(&text, '\n');
        if (!bh_str_starts_with(line, key) || line.size == key.size ||
            (line.data[key.size] != ' ' && line.data[key.size] != '\t'))
            continue;
        line = bh_str_trim((struct bh_str){ line.data + key.size, line.size - key.size });
        const struct bh_str number = bh_str_split(&line, ' ');
        uint64_t value = 0;
        if (digits(number, &value) != 0)
            return BH_ESYNTAX;
        if (bh_str_equal(bh_str_trim(line), BH_STR("kB")) &&
            __builtin_mul_overflow(value, 1024, &value))
            return BH_ESYNTAX;
        *ret_value = value;
        return 0;
    }
    return BH_ENOTFOUND;
}

int bh_memory_column(struct bh_str line, const unsigned column, uint64_t *const ret_value)
{
    for (unsigned i = 0; i < column; i++)
        bh_str_split(&line, ' ');
    return digits(bh_str_trim(bh_str_split(&line, ' ')), ret_value);
}

int bh_memory_pressure(const struct bh_str text, double *const ret_some_avg10)
{
    static const char head[] = "some avg10=";
    struct bh_str rest = text;
    if (!bh_str_starts_with(rest, bh_str_from(head)))
        return BH_ESYNTAX;
    rest.data += sizeof(head) - 1;
    rest.size -= sizeof(head) - 1;
    struct bh_str number = bh_str_split(&rest, ' ');
    const struct bh_str whole = bh_str_split(&number, '.');
    uint64_t percent = 0, hundredths = 0;
    if (digits(whole, &percent) != 0 || percent > 100 || number.size != 2 ||
        digits(number, &hundredths) != 0)
        return BH_ESYNTAX;
    *ret_some_avg10 = (double)percent + (double)hundredths / 100;
    return 0;
}

static bool has_memory(struct bh_str controllers)
{
    while (controllers.size > 0)
        if (bh_str_equal(bh_str_split(&controllers, ','), BH_STR("memory")))
            return true;
    return false;
}

int bh_memory_cgroup(struct bh_str text, const unsigned version, char path[BH_MEMORY_PATH_MAX])
{
    while (text.size > 0) {
        struct bh_str line = bh_str_split(&text, '\n');
        const struct bh_str number = bh_str_split(&line, ':');
        const struct bh_str controllers = bh_str_split(&line, ':');
        const bool is_ours = version == 2
                                 ? bh_str_equal(number, BH_STR("0")) && controllers.size == 0
                                 : has_memory(controllers);
        if (!is_ours || line.size == 0 || line.data[0] != '/')
            continue;
        const bool is_outside = memmem(line.data, line.size, "/..", 3) != NULL;
        if (line.size >= BH_MEMORY_PATH_MAX || memchr(line.data, '\0', line.size))
            return BH_ENOTFOUND;
        const size_t size = line.size == 1 || is_outside ? 0 : line.size;
        memcpy(path, line.data, size);
        path[size] = '\0';
        return 0;
    }
    return BH_ENOTFOUND;
}
