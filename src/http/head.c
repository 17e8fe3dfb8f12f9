/*
 * A line is parsed once it is whole: memchr finds its LF, and the search goes on where it stopped.
 * So a read boundary cannot change the meaning of anything, and a bare CR, which some parsers take
 * for a line end, is seen as what it is: a byte inside a line.
 */
#include "http/head.h"

#include "bulkhead/base/assert.h"
#include "http/chars.h"
#include "http/field.h"
#include "http/target.h"

static const struct {
    const char *label;
    const char *text;
    int status;
} refusals[BH_HEAD_REFUSAL_COUNT] = {
    [BH_HEAD_ACCEPTED] = { "accepted", "", 200 },
#define BH_HEAD_REFUSAL(id, status_, label_, text_) \
    [BH_HEAD_##id] = { .label = (label_), .text = (text_), .status = (status_) },
#include "http/head_refusals.def"
#undef BH_HEAD_REFUSAL
};

static const char *const method_names[BH_METHOD_COUNT] = {
    [BH_METHOD_OTHER] = "OTHER",   [BH_METHOD_GET] = "GET",         [BH_METHOD_HEAD] = "HEAD",
    [BH_METHOD_POST] = "POST",     [BH_METHOD_PUT] = "PUT",         [BH_METHOD_PATCH] = "PATCH",
    [BH_METHOD_DELETE] = "DELETE", [BH_METHOD_OPTIONS] = "OPTIONS",
};

int bh_head_refusal_status(const enum bh_head_refusal refusal)
{
    return refusals[refusal].status;
}

const char *bh_head_refusal_label(const enum bh_head_refusal refusal)
{
    return refusals[refusal].label;
}

const char *bh_head_refusal_text(const enum bh_head_refusal refusal)
{
    return refusals[refusal].text;
}

const char *bh_http_method_text(const enum bh_http_method method)
{
    return method_names[method];
}

enum bh_http_method bh_http_method_from(const struct bh_str name)
{
    for (int id = BH_METHOD_OTHER + 1; id < BH_METHOD_COUNT; id++) {
        if (bh_str_equal(name, bh_str_from(method_names[id])))
            return (enum bh_http_method)id;
    }
    return BH_METHOD_OTHER;
}

void bh_head_init(struct bh_head *const head)
{
    /* The fields behind field_count are never read: clearing them would cost more than parsing. */
    memset(head, 0, offsetof(struct bh_head, fields));
    head->content_length = -1;
    head->host_field = -1;
}

static enum bh_head_result refuse(struct bh_head *const head, const enum bh_head_refusal refusal)
{
    head->refusal = refusal;
    return BH_HEAD_REFUSED;
}

static struct bh_head_slice slice_of(const struct bh_str text, const char *const data)
{
    if (text.size == 0)
        return (struct bh_head_slice){ 0, 0 };
    return (struct bh_head_slice){ (uint16_t)(text.data - data), (uint16_t)text.size };
}

/* ---- The request line ---- */

static enum bh_head_refusal parse_version(struct bh_head *const head, const struct bh_str version)
{
    static const struct bh_str prefix = BH_STR("HTTP/");
    if (version.size != prefix.size + 3 || !bh_str_starts_with(version, prefix) ||
        version.data[6] != '.')
        return BH_HEAD_REQUEST_LINE;
    const unsigned major = (unsigned)((unsigned char)version.data[5] - '0');
    const unsigned minor = (unsigned)((unsigned char)version.data[7] - '0');
    if (major > 9 || minor > 9)
        return BH_HEAD_REQUEST_LINE;
    if (major != 1)
        return BH_HEAD_VERSION;
    head->minor_version = minor > 0;
    return BH_HEAD_ACCEPTED;
}

/* CONNECT alone takes an authority-form target; it is checked so that the answer is right. */
static enum bh_head_refusal refuse_connect(const struct bh_str target)
{
    const bool has_port = target.size > 0 && target.data[target.size - 1] != ':' &&
                          memchr(target.data, ':', target.size);
    return has_port && bh_host_is_valid(target) ? BH_HEAD_METHOD_UNKNOWN : BH_HEAD_TARGET;
}

static enum bh_head_refusal parse_request_line(struct bh_head *const head,
                                               const struct bh_head_limits *const limits,
                                               const char *const data, const struct bh_str line)
{
    struct bh_str rest = line;
    const struct bh_str method = bh_str_split(&rest, ' ');
    if (method.size == 0 || method.size > BH_HEAD_METHOD_MAX ||
        !bh_chars_are(method, BH_CHAR_TOKEN))
        return BH_HEAD_METHOD;
    const struct bh_str text = bh_str_split(&rest, ' ');
    if (text.size == 0)
        return BH_HEAD_REQUEST_LINE;
    if (text.size > limits->target_maximum)
        return BH_HEAD_TARGET_TOO_LONG;
    const enum bh_head_refusal refusal = parse_version(head, rest);
    if (refusal != BH_HEAD_ACCEPTED)
        return refusal;

    if (bh_str_equal(method, BH_STR("CONNECT")))
        return refuse_connect(text);
    head->method = slice_of(method, data);
    head->method_id = bh_http_method_from(method);
    struct bh_target target;
    if (bh_target_parse(text, head->method_id, &target) < 0)
        return BH_HEAD_TARGET;
    head->target = slice_of(text, data);
    head->authority = slice_of(target.authority, data);
    head->path = slice_of(target.path, data);
    head->query = slice_of(target.query, data);
    head->is_asterisk = target.is_asterisk;
    head->has_request_line = true;
    return BH_HEAD_ACCEPTED;
}

/* ---- Fields that decide about framing ---- */

static enum bh_head_refusal take_content_length(struct bh_head *const head,
                                                const struct bh_str value)
{
    if (head->content_length >= 0)
        return BH_HEAD_LENGTH_REPEATED;
    if (value.size == 0)
        return BH_HEAD_LENGTH_INVALID;
    int64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        const unsigned digit = (unsigned)((unsigned char)value.data[i] - '0');
        if (digit > 9)
            return BH_HEAD_LENGTH_INVALID;
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, (int64_t)digit, &length))
            length = INT64_MAX;
    }
    head->content_length = length;
    return BH_HEAD_ACCEPTED;
}

/* `gzip, chunked` is well-framed but not understood (501); anything that does not end in chunked
 * has no certain end (400). */
static enum bh_head_refusal take_transfer_encoding(struct bh_head *const head,
                                                   const struct bh_str value)
{
    static const struct bh_str chunked = BH_STR("chunked");
    if (head->has_transfer_encoding || head->minor_version == 0)
        return BH_HEAD_CODING_INVALID;
    head->has_transfer_encoding = true;
    if (bh_str_equal_nocase(value, chunked)) {
        head->is_chunked = true;
        return BH_HEAD_ACCEPTED;
    }
    struct bh_str list = value;
    struct bh_str last = BH_STR_NONE;
    unsigned chunked_count = 0;
    while (bh_field_list_next(&list, &last))
        chunked_count += bh_str_equal_nocase(last, chunked);
    return chunked_count == 1 && bh_str_equal_nocase(last, chunked) && last.data != value.data
               ? BH_HEAD_CODING_UNKNOWN
               : BH_HEAD_CODING_INVALID;
}

static enum bh_head_refusal take_host(struct bh_head *const head, const struct bh_str value)
{
    if (head->host_field >= 0)
        return BH_HEAD_HOST_REPEATED;
    head->host_field = (int16_t)head->field_count;
    return bh_host_is_valid(value) ? BH_HEAD_ACCEPTED : BH_HEAD_HOST_INVALID;
}

static enum bh_head_refusal take_expect(struct bh_head *const head, const struct bh_str value)
{
    if (!bh_str_equal_nocase(value, BH_STR("100-continue")))
        return BH_HEAD_EXPECTATION;
    head->expect_continue = head->minor_version > 0;
    return BH_HEAD_ACCEPTED;
}

static void take_connection(struct bh_head *const head, const struct bh_str value)
{
    head->has_connection_close |= bh_field_list_has(value, BH_STR("close"));
    head->has_connection_keep_alive |= bh_field_list_has(value, BH_STR("keep-alive"));
}

static enum bh_head_refusal take_known(struct bh_head *const head, const struct bh_str name,
                                       const struct bh_str value)
{
    switch (name.size) {
    case sizeof("Host") - 1:
        return bh_str_equal_nocase(name, BH_STR("Host")) ? take_host(head, value)
                                                         : BH_HEAD_ACCEPTED;
    case sizeof("Expect") - 1:
        return bh_str_equal_nocase(name, BH_STR("Expect")) ? take_expect(head, value)
                                                           : BH_HEAD_ACCEPTED;
    case sizeof("Connection") - 1:
        if (bh_str_equal_nocase(name, BH_STR("Connection")))
            take_connection(head, value);
        return BH_HEAD_ACCEPTED;
    case sizeof("Content-Length") - 1:
        return bh_str_equal_nocase(name, BH_STR("Content-Length"))
                   ? take_content_length(head, value)
                   : BH_HEAD_ACCEPTED;
    case sizeof("Transfer-Encoding") - 1:
        return bh_str_equal_nocase(name, BH_STR("Transfer-Encoding"))
                   ? take_transfer_encoding(head, value)
                   : BH_HEAD_ACCEPTED;
    default:
        return BH_HEAD_ACCEPTED;
    }
}

/* ---- Lines ---- */

/* Why `text`, which should be of class TEXT, is not. */
static enum bh_head_refusal refusal_of_text(const struct bh_str text)
{
    return memchr(text.data, '\r', text.size) ? BH_HEAD_BARE_CR : BH_HEAD_CONTROL;
}

static struct bh_str trim_blanks(struct bh_str text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static enum bh_head_refusal parse_field(struct bh_head *const head,
                                        const struct bh_head_limits *const limits,
                                        const char *const data, const struct bh_str line)
{
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return BH_HEAD_OBS_FOLD;
    size_t name_size = 0;
    while (name_size < line.size && bh_char_is(line.data[name_size], BH_CHAR_TOKEN))
        name_size++;
    if (name_size == 0 || name_size == line.size || line.data[name_size] != ':')
        return BH_HEAD_FIELD_NAME;
    if (head->field_count >= limits->fields_maximum)
        return BH_HEAD_TOO_MANY_FIELDS;

    const struct bh_str name = { line.data, name_size };
    const struct bh_str value = trim_blanks(
        (struct bh_str){ line.data + name_size + 1, line.size - name_size - 1 });
    const enum bh_head_refusal refusal = take_known(head, name, value);
    if (refusal != BH_HEAD_ACCEPTED)
        return refusal;
    head->fields[head->field_count++] = (struct bh_head_field){ slice_of(name, data),
                                                                slice_of(value, data) };
    return BH_HEAD_ACCEPTED;
}

/* A line without its CRLF, not empty. */
static enum bh_head_refusal parse_line(struct bh_head *const head,
                                       const struct bh_head_limits *const limits,
                                       const char *const data, const struct bh_str line)
{
    if (!bh_chars_are(line, BH_CHAR_TEXT))
        return refusal_of_text(line);
    return head->has_request_line ? parse_field(head, limits, data, line)
                                  : parse_request_line(head, limits, data, line);
}

/* What can only be judged when all fields are known. */
static enum bh_head_refusal finish(struct bh_head *const head)
{
    if (head->host_field < 0 && head->minor_version > 0)
        return BH_HEAD_HOST_MISSING;
    if (head->has_transfer_encoding && head->content_length >= 0)
        return BH_HEAD_LENGTH_AND_CODING;
    if (head->authority.size > 0 && head->host_field >= 0)
        head->fields[head->host_field].value = head->authority;
    head->keep_alive = !head->has_connection_close &&
                       (head->minor_version > 0 || head->has_connection_keep_alive);
    return BH_HEAD_ACCEPTED;
}

/* No LF behind head->scanned: what can be said already? */
static enum bh_head_result judge_partial(struct bh_head *const head,
                                         const struct bh_head_limits *const limits,
                                         const char *const data, const size_t size)
{
    const char *const from = data + head->scanned;
    const char *const cr = size == head->scanned ? NULL : memchr(from, '\r', size - head->scanned);
    if (cr && cr != data + size - 1)
        return refuse(head, BH_HEAD_BARE_CR);
    if (!head->has_request_line && head->line_at < size && data[head->line_at] != '\r' &&
        !bh_char_is(data[head->line_at], BH_CHAR_TOKEN))
        return refuse(head, BH_HEAD_METHOD); /* TLS on a plain port, say: no use in waiting */
    if (!head->has_request_line &&
        size - head->line_at > limits->target_maximum + BH_HEAD_METHOD_MAX + sizeof("  HTTP/1.1"))
        return refuse(head, BH_HEAD_TARGET_TOO_LONG);
    if (size >= limits->bytes_maximum)
        return refuse(head, head->has_request_line ? BH_HEAD_TOO_LARGE : BH_HEAD_TARGET_TOO_LONG);
    head->scanned = (uint16_t)(cr ? size - 1 : size);
    return BH_HEAD_MORE;
}

enum bh_head_result bh_head_parse(struct bh_head *const head,
                                  const struct bh_head_limits *const limits, const char *const data,
                                  const size_t available)
{
    /* Nothing behind the limit can belong to an acceptable head. */
    const size_t size = available < limits->bytes_maximum ? available : limits->bytes_maximum;
    bh_assert(limits->bytes_maximum <= BH_HEAD_BYTES_MAX &&
              limits->fields_maximum <= BH_HEAD_FIELDS_MAX);
    for (;;) {
        const char *const lf = size == head->scanned
                                   ? NULL
                                   : memchr(data + head->scanned, '\n', size - head->scanned);
        if (!lf)
            return judge_partial(head, limits, data, size);
        const size_t end = (size_t)(lf - data);
        if (end == head->line_at || data[end - 1] != '\r')
            return refuse(head, BH_HEAD_BARE_LF);

        const struct bh_str line = { data + head->line_at, end - 1 - head->line_at };
        head->scanned = head->line_at = (uint16_t)(end + 1);
        enum bh_head_refusal refusal;
        if (line.size > 0) {
            refusal = parse_line(head, limits, data, line);
        } else if (head->has_request_line) {
            head->size = (uint16_t)(end + 1);
            refusal = finish(head);
            if (refusal == BH_HEAD_ACCEPTED)
                return BH_HEAD_DONE;
        } else {
            /* RFC 9112 section 2.2: an empty line ahead of the request line is passed over. */
            refusal = head->has_leading_line ? BH_HEAD_REQUEST_LINE : BH_HEAD_ACCEPTED;
            head->has_leading_line = true;
        }
        if (refusal != BH_HEAD_ACCEPTED)
            return refuse(head, refusal);
    }
}

struct bh_str bh_head_path(const struct bh_head *const head, const char *const data)
{
    if (head->is_asterisk)
        return BH_STR("*");
    return head->path.size > 0 ? bh_head_slice_str(head->path, data) : BH_STR("/");
}

struct bh_str bh_head_field(const struct bh_head *const head, const char *const data,
                            const struct bh_str name)
{
    for (unsigned i = 0; i < head->field_count; i++) {
        if (bh_str_equal_nocase(bh_head_slice_str(head->fields[i].name, data), name))
            return bh_head_slice_str(head->fields[i].value, data);
    }
    return BH_STR_NONE;
}
