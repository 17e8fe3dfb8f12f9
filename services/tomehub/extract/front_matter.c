#include "extract/front_matter.h"

static struct bh_str take_line(struct bh_str *const rest)
{
    struct bh_str line = bh_str_split(rest, '\n');
    while (line.size > 0 && (line.data[line.size - 1] == '\r' || line.data[line.size - 1] == ' '))
        line.size--;
    return line;
}

static struct bh_str unquote(struct bh_str value)
{
    value = bh_str_trim(value);
    if (value.size >= 2 && (value.data[0] == '"' || value.data[0] == '\'') &&
        value.data[value.size - 1] == value.data[0]) {
        value.data++;
        value.size -= 2;
    }
    return value;
}

/* Appends the items of "a", "a, b" or "[a, b]". */
static void append_items(struct bh_buf *const out, struct bh_str value)
{
    value = bh_str_trim(value);
    if (value.size >= 2 && value.data[0] == '[' && value.data[value.size - 1] == ']') {
        value.data++;
        value.size -= 2;
    }
    while (value.size > 0) {
        const struct bh_str item = unquote(bh_str_split(&value, ','));
        if (item.size == 0)
            continue;
        if (out->size > 0)
            bh_buf_append_str(out, BH_STR(", "));
        bh_buf_append_str(out, item);
    }
}

struct field {
    const char *name;
    enum tome_meta_key key;
};

static const struct field *find_field(const struct bh_str name)
{
    static const struct field fields[] = {
        { "title", TOME_META_TITLE },    { "author", TOME_META_AUTHOR },
        { "authors", TOME_META_AUTHOR }, { "tags", TOME_META_TAGS },
        { "keywords", TOME_META_TAGS },  { "language", TOME_META_LANGUAGE },
        { "lang", TOME_META_LANGUAGE },
    };
    for (size_t i = 0; i < BH_COUNT_OF(fields); i++) {
        if (bh_str_equal_nocase(name, bh_str_from(fields[i].name)))
            return &fields[i];
    }
    return NULL;
}

static void write_field(struct tome_document *const document, const struct field *const field,
                        struct bh_buf *const value)
{
    if (field)
        tome_document_meta(document, field->key, bh_buf_peek(value));
    bh_buf_clear(value);
}

static void read_fields(struct bh_str text, const char separator,
                        struct tome_document *const document)
{
    struct bh_buf value BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&value, TOME_FRAME_VALUE_MAX * 2);
    const struct field *field = NULL;
    while (text.size > 0) {
        const struct bh_str line = take_line(&text);
        struct bh_str rest = bh_str_trim(line);
        if (rest.size > 1 && rest.data[0] == '-') {
            rest.data++;
            rest.size--;
            append_items(&value, rest);
            continue;
        }
        if (line.size == 0 || line.data[0] == ' ' || !memchr(line.data, separator, line.size))
            continue;
        write_field(document, field, &value);
        const struct bh_str name = bh_str_trim(bh_str_split(&rest, separator));
        field = find_field(name);
        if (field && (field->key == TOME_META_TITLE || field->key == TOME_META_LANGUAGE))
            bh_buf_append_str(&value, unquote(rest));
        else
            append_items(&value, rest);
    }
    write_field(document, field, &value);
}

size_t tome_front_matter_read(const struct bh_str head, struct tome_document *const document)
{
    struct bh_str rest = head;
    if (bh_str_starts_with(rest, BH_STR("\xEF\xBB\xBF"))) {
        rest.data += 3;
        rest.size -= 3;
    }
    const struct bh_str mark = take_line(&rest);
    const bool yaml = bh_str_equal(mark, BH_STR("---"));
    if (!yaml && !bh_str_equal(mark, BH_STR("+++")))
        return 0;
    const struct bh_str begin = rest;
    while (rest.size > 0) {
        const size_t before = rest.size;
        const struct bh_str line = take_line(&rest);
        if (!bh_str_equal(line, mark) && !(yaml && bh_str_equal(line, BH_STR("..."))))
            continue;
        const struct bh_str fields = { .data = begin.data, .size = begin.size - before };
        read_fields(fields, yaml ? ':' : '=', document);
        return head.size - rest.size;
    }
    return 0;
}
