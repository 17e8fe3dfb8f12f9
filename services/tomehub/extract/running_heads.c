#include "extract/running_heads.h"

#include <xxhash.h>

#include "extract/sentence.h"

#define HEAD_BYTES_MAX 160u

/* The first and the last line that is not blank, taken off *text; empty when there is none. */
static struct bh_str take_top(struct bh_str *const text)
{
    while (text->size > 0) {
        const struct bh_str line = tome_trim(bh_str_split(text, '\n'));
        if (line.size > 0)
            return line;
    }
    return BH_STR_NONE;
}

static struct bh_str take_bottom(struct bh_str *const text)
{
    while (text->size > 0) {
        const char *const feed = memrchr(text->data, '\n', text->size);
        const size_t begin = feed ? (size_t)(feed - text->data) + 1 : 0;
        const struct bh_str line = tome_trim(
            (struct bh_str){ .data = text->data + begin, .size = text->size - begin });
        text->size = feed ? begin - 1 : 0;
        if (line.size > 0)
            return line;
    }
    return BH_STR_NONE;
}

static bool is_digit(const char byte)
{
    return byte >= '0' && byte <= '9';
}

static int64_t roman_digit(const char byte)
{
    switch (byte | 0x20) {
    case 'i':
        return 1;
    case 'v':
        return 5;
    case 'x':
        return 10;
    case 'l':
        return 50;
    case 'c':
        return 100;
    default:
        return 0;
    }
}

/* The value of a line that is one roman numeral; 0 when it is none. */
static int64_t roman_value(const struct bh_str line)
{
    int64_t value = 0;
    for (size_t i = 0; i < line.size; i++) {
        const int64_t digit = roman_digit(line.data[i]);
        if (digit == 0)
            return 0;
        const int64_t next = i + 1 < line.size ? roman_digit(line.data[i + 1]) : 0;
        value += digit < next ? -digit : digit;
    }
    return value;
}

/* The line without blanks, in small ASCII letters; its first number apart. */
struct shape {
    char letters[HEAD_BYTES_MAX];
    size_t size;
    bool has_number;
    int64_t number;
    size_t number_begin; /* in letters */
    size_t number_end;
};

static struct shape shape_of(const struct bh_str line)
{
    struct shape shape = { 0 };
    const int64_t roman = roman_value(line);
    if (roman > 0) {
        shape.has_number = true;
        shape.number = roman;
    }
    for (size_t i = 0; i < line.size; i++) {
        char byte = line.data[i];
        if (tome_is_blank(byte))
            continue;
        if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte | 0x20);
        const bool counts = is_digit(byte) &&
                            (!shape.has_number || (shape.number_end == shape.size && roman == 0)) &&
                            shape.number < INT32_MAX;
        if (counts && !shape.has_number) {
            shape.has_number = true;
            shape.number_begin = shape.size;
        }
        shape.letters[shape.size++] = byte;
        if (counts) {
            shape.number = shape.number * 10 + (byte - '0');
            shape.number_end = shape.size;
        }
    }
    if (roman > 0)
        shape.number_end = shape.size;
    return shape;
}

static struct tome_head_line signature(const struct bh_str line, const uint32_t number)
{
    struct tome_head_line head = { 0 };
    if (line.size == 0 || line.size > HEAD_BYTES_MAX)
        return head;
    const struct shape shape = shape_of(line);
    head.literal = XXH3_64bits(shape.letters, shape.size);
    if (shape.has_number) {
        /* What stands around the number, and how far it is from the page's. */
        const int64_t distance = shape.number - (int64_t)number;
        const uint64_t front = XXH3_64bits(shape.letters, shape.number_begin);
        const uint64_t back = XXH3_64bits(shape.letters + shape.number_end,
                                          shape.size - shape.number_end);
        const uint64_t parts[] = { front, back, (uint64_t)distance };
        head.relative = XXH3_64bits(parts, sizeof(parts));
    }
    return head;
}

struct tome_head_edges tome_head_edges(const struct bh_str text, const uint32_t number)
{
    struct tome_head_edges edges = { 0 };
    struct bh_str top = text;
    struct bh_str bottom = text;
    for (size_t i = 0; i < TOME_HEAD_LINES; i++) {
        edges.top[i] = signature(take_top(&top), number);
        edges.bottom[i] = signature(take_bottom(&bottom), number);
    }
    return edges;
}

static bool same_number(const struct tome_head_line a, const struct tome_head_line b)
{
    return a.relative != 0 && a.relative == b.relative;
}

static bool same(const struct tome_head_line a, const struct tome_head_line b)
{
    return (a.literal != 0 && a.literal == b.literal) || same_number(a, b);
}

/* On how many pages a line that is `alike` stands at this edge. */
static size_t count_pages(const struct tome_head_line line,
                          const struct tome_head_edges *const pages, const size_t count,
                          const bool top,
                          bool (*const alike)(struct tome_head_line a, struct tome_head_line b))
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct tome_head_line *const edge = top ? pages[i].top : pages[i].bottom;
        bool stands = false;
        for (size_t j = 0; j < TOME_HEAD_LINES; j++)
            stands = stands || alike(line, edge[j]);
        found += stands;
    }
    return found;
}

/* How many lines at the top (or bottom) of pages[index] are heads. Nothing outside of the page
 * number is text, whether it returns or not. */
static size_t count_heads(const struct tome_head_edges *const pages, const size_t count,
                          const size_t index, const bool top)
{
    const struct tome_head_line *const own = top ? pages[index].top : pages[index].bottom;
    size_t heads = 0;
    for (size_t line = 0; line < TOME_HEAD_LINES; line++) {
        const bool next = heads == line;
        if (count_pages(own[line], pages, count, top, next ? same : same_number) >=
            TOME_HEAD_PAGES_MIN)
            heads = line + 1;
    }
    return heads;
}

struct bh_str tome_head_strip(const struct bh_str text, const struct tome_head_edges *const pages,
                              const size_t count, const size_t index)
{
    struct bh_str rest = text;
    const size_t top = count_heads(pages, count, index, true);
    const size_t bottom = count_heads(pages, count, index, false);
    for (size_t i = 0; i < top; i++)
        (void)take_top(&rest);
    for (size_t i = 0; i < bottom; i++)
        (void)take_bottom(&rest);
    return rest;
}
