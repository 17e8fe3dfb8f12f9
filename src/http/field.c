#include "http/field.h"

#include "http/chars.h"

static bool is_blank(const char byte)
{
    return byte == ' ' || byte == '\t';
}

bool bh_field_list_next(struct bh_str *const rest, struct bh_str *const ret_element)
{
    while (rest->size > 0) {
        const struct bh_str element = bh_str_trim(bh_str_split(rest, ','));
        if (element.size > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

bool bh_field_list_has(struct bh_str list, const struct bh_str token)
{
    struct bh_str element;
    while (bh_field_list_next(&list, &element)) {
        if (bh_str_equal_nocase(element, token))
            return true;
    }
    return false;
}

static void skip(struct bh_str *const text, const size_t count)
{
    text->data += count;
    text->size -= count;
}

static void skip_blanks(struct bh_str *const text)
{
    while (text->size > 0 && is_blank(text->data[0]))
        skip(text, 1);
}

static struct bh_str take_token(struct bh_str *const text)
{
    size_t size = 0;
    while (size < text->size && bh_char_is(text->data[size], BH_CHAR_TOKEN))
        size++;
    const struct bh_str token = { text->data, size };
    skip(text, size);
    return token;
}

/* *text begins behind the opening quote. */
static int take_quoted(struct bh_str *const text, struct bh_str *const ret_content)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != '"') {
        const bool is_escape = text->data[size] == '\\';
        size += is_escape ? 2 : 1;
    }
    if (size >= text->size)
        return BH_ESYNTAX;
    *ret_content = (struct bh_str){ text->data, size };
    skip(text, size + 1);
    return 0;
}

int bh_field_parameter_next(struct bh_str *const rest,
                            struct bh_field_parameter *const ret_parameter)
{
    do {
        skip_blanks(rest);
        if (rest->size == 0)
            return 0;
        if (rest->data[0] != ';')
            return BH_ESYNTAX;
        skip(rest, 1);
        skip_blanks(rest);
    } while (rest->size == 0 || rest->data[0] == ';');

    struct bh_field_parameter parameter = { .name = take_token(rest) };
    if (parameter.name.size == 0 || rest->size == 0 || rest->data[0] != '=')
        return BH_ESYNTAX;
    skip(rest, 1);
    if (rest->size > 0 && rest->data[0] == '"') {
        skip(rest, 1);
        parameter.is_quoted = true;
        if (take_quoted(rest, &parameter.value) < 0)
            return BH_ESYNTAX;
    } else {
        parameter.value = take_token(rest);
        if (parameter.value.size == 0)
            return BH_ESYNTAX;
    }
    *ret_parameter = parameter;
    return 1;
}

size_t bh_field_unescape(char *const text, const size_t size)
{
    size_t to = 0;
    for (size_t from = 0; from < size; from++) {
        if (text[from] == '\\' && from + 1 < size)
            from++;
        text[to++] = text[from];
    }
    return to;
}
