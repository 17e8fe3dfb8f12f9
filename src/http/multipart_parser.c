/*
 * The delimiter CR LF "--" boundary holds one CR, its first byte. So when a match that spans input
 * pieces fails, what was matched is data as a whole, and the search goes on with the byte that did
 * not fit: nothing need be kept but the number of bytes matched.
 */
#include "http/multipart_parser.h"

#include "http/chars.h"
#include "http/field.h"

enum state {
    PREAMBLE, /* ahead of the first delimiter: passed over */
    CONTENT,  /* of a part */
    AFTER,    /* right behind a delimiter */
    PADDING,  /* blanks behind it */
    PADDING_LF,
    CLOSING, /* behind one '-' */
    HEAD,
    EPILOGUE /* behind the closing delimiter: passed over */
};

/* ---- The boundary ---- */

static int malformed(struct bh_error *const reterr, const char *const what)
{
    return bh_error_set(reterr, BH_ESYNTAX, "malformed multipart/form-data: %s", what);
}

int bh_multipart_boundary(const struct bh_str content_type, char to[BH_MULTIPART_BOUNDARY_MAX],
                          struct bh_str *const ret_boundary, struct bh_error *const reterr)
{
    struct bh_str rest = content_type;
    const struct bh_str type = bh_str_trim(bh_str_split(&rest, ';'));
    if (!bh_str_equal_nocase(type, BH_STR("multipart/form-data")))
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "the body must be multipart/form-data, not \"%.*s\"",
                            BH_STR_ARGS(type));
    rest = (struct bh_str){ content_type.data + type.size, content_type.size - type.size };
    if (type.data != content_type.data)
        return malformed(reterr, "blanks ahead of the media type");
    struct bh_field_parameter parameter;
    int more;
    while ((more = bh_field_parameter_next(&rest, &parameter)) > 0) {
        if (!bh_str_equal_nocase(parameter.name, BH_STR("boundary")))
            continue;
        const struct bh_str boundary = parameter.value;
        if (boundary.size == 0 || boundary.size > BH_MULTIPART_BOUNDARY_MAX ||
            !bh_chars_are(boundary, BH_CHAR_BOUNDARY) || boundary.data[boundary.size - 1] == ' ')
            break;
        memcpy(to, boundary.data, boundary.size);
        *ret_boundary = (struct bh_str){ to, boundary.size };
        return 0;
    }
    return malformed(reterr, more < 0 ? "the Content-Type cannot be read"
                                      : "the boundary is missing or not 1 to 70 characters");
}

void bh_multipart_parser_init(struct bh_multipart_parser *const parser,
                              const struct bh_str boundary)
{
    memset(parser, 0, offsetof(struct bh_multipart_parser, head));
    memcpy(parser->delimiter, "\r\n--", 4);
    memcpy(parser->delimiter + 4, boundary.data, boundary.size);
    parser->delimiter_size = 4 + boundary.size;
    parser->matched = 2; /* the start of the body counts as the start of a line */
}

/* ---- A part's head ---- */

/* Decodes what browsers do to a quote in a name (WHATWG form data: %22), in place. */
static size_t decode_quotes(char *const text, const size_t size)
{
    size_t to = 0;
    for (size_t from = 0; from < size; to++) {
        const bool is_quote = size - from >= 3 && memcmp(text + from, "%22", 3) == 0;
        text[to] = is_quote ? '"' : text[from];
        from += is_quote ? 3 : 1;
    }
    return to;
}

static struct bh_str parameter_text(const struct bh_field_parameter *const parameter,
                                    struct bh_multipart_parser *const parser)
{
    /* The slice lies in parser->head, which is ours to change. */
    char *const text = parser->head + (parameter->value.data - parser->head);
    size_t size = parameter->value.size;
    if (parameter->is_quoted)
        size = decode_quotes(text, bh_field_unescape(text, size));
    return (struct bh_str){ text, size };
}

/* The last component, whatever the sender's separator; "." and ".." name no file. */
static struct bh_str base_name(const struct bh_str path)
{
    struct bh_str name = path;
    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] == '/' || path.data[i] == '\\')
            name = (struct bh_str){ path.data + i + 1, path.size - i - 1 };
    }
    if (bh_str_equal(name, BH_STR(".")) || bh_str_equal(name, BH_STR("..")))
        name.size = 0;
    return name;
}

static int take_disposition(struct bh_multipart_parser *const parser, const struct bh_str value,
                            struct bh_multipart_item *const item, struct bh_error *const reterr)
{
    static const struct bh_str form_data = BH_STR("form-data");
    if (value.size < form_data.size ||
        !bh_str_equal_nocase((struct bh_str){ value.data, form_data.size }, form_data))
        return malformed(reterr, "a part's Content-Disposition is not form-data");
    struct bh_str rest = { value.data + form_data.size, value.size - form_data.size };
    struct bh_field_parameter parameter;
    int more;
    while ((more = bh_field_parameter_next(&rest, &parameter)) > 0) {
        const bool is_name = bh_str_equal_nocase(parameter.name, BH_STR("name"));
        const bool is_filename = bh_str_equal_nocase(parameter.name, BH_STR("filename"));
        if ((is_name && item->name.data) || (is_filename && item->filename.data))
            return malformed(reterr, "a part's name is given twice");
        if (is_name)
            item->name = parameter_text(&parameter, parser);
        else if (is_filename)
            item->filename = base_name(parameter_text(&parameter, parser));
    }
    if (more < 0)
        return malformed(reterr, "a part's Content-Disposition cannot be read");
    if (!bh_str_is_utf8(item->name) || !bh_str_is_utf8(item->filename))
        return malformed(reterr, "a part's name is not UTF-8");
    return 0;
}

static int parse_part_field(struct bh_multipart_parser *const parser, const struct bh_str line,
                            struct bh_multipart_item *const item, struct bh_error *const reterr)
{
    struct bh_str value = line;
    const struct bh_str name = bh_str_split(&value, ':');
    if (name.size == 0 || name.size == line.size || !bh_chars_are(name, BH_CHAR_TOKEN) ||
        !bh_chars_are(value, BH_CHAR_TEXT))
        return malformed(reterr, "a part's header field cannot be read");
    value = bh_str_trim(value);
    if (bh_str_equal_nocase(name, BH_STR("Content-Disposition")))
        return take_disposition(parser, value, item, reterr);
    if (bh_str_equal_nocase(name, BH_STR("Content-Type")))
        item->content_type = value;
    return 0;
}

/* The head is whole, its last two lines' ends included. */
static int parse_part_head(struct bh_multipart_parser *const parser,
                           struct bh_multipart_item *const ret_item, struct bh_error *const reterr)
{
    struct bh_multipart_item item = { .event = BH_MULTIPART_PART };
    struct bh_str rest = { parser->head, parser->head_size };
    while (rest.size > 2) {
        const char *const end = memmem(rest.data, rest.size, "\r\n", 2);
        const struct bh_str line = { rest.data, (size_t)(end - rest.data) };
        rest.data += line.size + 2;
        rest.size -= line.size + 2;
        const int error = parse_part_field(parser, line, &item, reterr);
        if (error < 0)
            return error;
    }
    if (!item.name.data)
        return malformed(reterr, "a part has no name");
    if (++parser->part_count > BH_MULTIPART_PARTS_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "more than %d parts", BH_MULTIPART_PARTS_MAX);
    *ret_item = item;
    return 0;
}

/* 1: the head is whole. */
static int take_head_byte(struct bh_multipart_parser *const parser, const char byte,
                          struct bh_error *const reterr)
{
    if (parser->head_size == sizeof(parser->head))
        return bh_error_set(reterr, BH_ELIMIT, "a part's header fields exceed %d bytes",
                            BH_MULTIPART_HEAD_MAX);
    parser->head[parser->head_size++] = byte;
    const size_t size = parser->head_size;
    if (byte != '\n')
        return 0;
    if (size < 2 || parser->head[size - 2] != '\r')
        return malformed(reterr, "a part's header line does not end in CRLF");
    return size == 2 ||
           (size >= 4 && parser->head[size - 4] == '\r' && parser->head[size - 3] == '\n');
}

/* ---- Content and delimiters ---- */

static void advance(struct bh_str *const input, const size_t count)
{
    input->data += count;
    input->size -= count;
}

/* Searches the delimiter. Returns true with *ret_data set when there is data to hand out; else the
 * input is used up or the delimiter was found (state AFTER). */
static bool search(struct bh_multipart_parser *const parser, struct bh_str *const input,
                   struct bh_str *const ret_data)
{
    while (input->size > 0) {
        if (parser->matched > 0) {
            if (input->data[0] == parser->delimiter[parser->matched]) {
                advance(input, 1);
                if (++parser->matched == parser->delimiter_size) {
                    parser->matched = 0;
                    parser->state = AFTER;
                    return false;
                }
                continue;
            }
            *ret_data = (struct bh_str){ parser->delimiter, parser->matched };
            parser->matched = 0;
            return true;
        }
        const char *const cr = memchr(input->data, '\r', input->size);
        const size_t before = cr ? (size_t)(cr - input->data) : input->size;
        if (before > 0) {
            *ret_data = (struct bh_str){ input->data, before };
            advance(input, before);
            return true;
        }
        advance(input, 1);
        parser->matched = 1;
    }
    return false;
}

/* One byte behind a delimiter: "--" ends the body, CRLF begins a part. */
static int take_after(struct bh_multipart_parser *const parser, const char byte,
                      struct bh_error *const reterr)
{
    switch (parser->state) {
    case AFTER:
        if (byte == '-') {
            parser->state = CLOSING;
            return 0;
        }
        __attribute__((fallthrough));
    case PADDING:
        if (byte == '\r')
            parser->state = PADDING_LF;
        else if (byte == ' ' || byte == '\t')
            parser->state = PADDING;
        else
            return malformed(reterr, "a boundary is followed by other bytes");
        return 0;
    case PADDING_LF:
        if (byte != '\n')
            return malformed(reterr, "a boundary is not followed by CRLF");
        parser->state = HEAD;
        parser->head_size = 0;
        return 0;
    default: /* CLOSING */
        if (byte != '-')
            return malformed(reterr, "a boundary is followed by a single hyphen");
        parser->state = EPILOGUE;
        return 1;
    }
}

int bh_multipart_parser_next(struct bh_multipart_parser *const parser, struct bh_str *const input,
                             struct bh_multipart_item *const ret_item,
                             struct bh_error *const reterr)
{
    while (input->size > 0) {
        if (parser->state == PREAMBLE || parser->state == CONTENT) {
            struct bh_str data;
            const bool is_content = parser->state == CONTENT;
            if (search(parser, input, &data) && is_content) {
                *ret_item = (struct bh_multipart_item){ .event = BH_MULTIPART_DATA, .data = data };
                return BH_MULTIPART_EVENT;
            }
            continue;
        }
        if (parser->state == EPILOGUE) {
            advance(input, input->size);
            break;
        }
        const char byte = input->data[0];
        advance(input, 1);
        if (parser->state == HEAD) {
            int result = take_head_byte(parser, byte, reterr);
            if (result > 0) {
                result = parse_part_head(parser, ret_item, reterr);
                parser->state = CONTENT;
                return result < 0 ? result : BH_MULTIPART_EVENT;
            }
            if (result < 0)
                return result;
            continue;
        }
        const int result = take_after(parser, byte, reterr);
        if (result < 0)
            return result;
        if (result > 0) {
            *ret_item = (struct bh_multipart_item){ .event = BH_MULTIPART_END };
            return BH_MULTIPART_EVENT;
        }
    }
    return BH_MULTIPART_MORE;
}
