#include "extract/markdown_inline.h"

#include "extract/entity.h"
#include "extract/sentence.h"

#define BRACKET_WINDOW 512u /* a link's text and target are looked for this far */
#define DEPTH_MAX 3u

static struct bh_str part(const struct bh_str text, const size_t begin, const size_t end)
{
    return (struct bh_str){ .data = text.data + begin, .size = end - begin };
}

static bool is_word_byte(const char byte)
{
    const unsigned char lower = (unsigned char)byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') ||
           (unsigned char)byte >= 0x80;
}

static bool is_punctuation(const char byte)
{
    return byte > ' ' && byte < 0x7F && !is_word_byte(byte);
}

/* The bracket that closes the one at `at`; 0 when it is not near. */
static size_t closing(const struct bh_str text, const size_t at, const char open, const char close)
{
    unsigned depth = 0;
    const size_t end = text.size - at > BRACKET_WINDOW ? at + BRACKET_WINDOW : text.size;
    for (size_t i = at; i < end; i++) {
        if (text.data[i] == '\\')
            i++;
        else if (text.data[i] == open)
            depth++;
        else if (text.data[i] == close && --depth == 0)
            return i;
    }
    return 0;
}

/* A link or image at the bracket `at`: its text ends at *ret_text_end. Returns what follows the
 * whole, or 0 when it is none. */
static size_t link_end(const struct bh_str text, const size_t at, size_t *const ret_text_end)
{
    const size_t close = closing(text, at, '[', ']');
    if (close == 0 || close + 1 >= text.size)
        return 0;
    const char next = text.data[close + 1];
    size_t end = 0;
    if (next == '(')
        end = closing(text, close + 1, '(', ')');
    else if (next == '[')
        end = closing(text, close + 1, '[', ']');
    if (end == 0)
        return 0;
    *ret_text_end = close;
    return end + 1;
}

/* "<…>": a tag, comment or address. Returns what follows it, or 0. */
static size_t tag_end(const struct bh_str text, const size_t at)
{
    if (at + 2 >= text.size)
        return 0;
    const char first = text.data[at + 1];
    const unsigned char lower = (unsigned char)first | 0x20;
    if (!(lower >= 'a' && lower <= 'z') && first != '/' && first != '!')
        return 0;
    const size_t limit = text.size - at > BRACKET_WINDOW ? BRACKET_WINDOW : text.size - at;
    const char *const end = memchr(text.data + at, '>', limit);
    return end ? (size_t)(end - text.data) + 1 : 0;
}

static bool is_address(const struct bh_str inside)
{
    return inside.size > 0 &&
           (memchr(inside.data, ':', inside.size) || memchr(inside.data, '@', inside.size)) &&
           !memchr(inside.data, ' ', inside.size) && !memchr(inside.data, '"', inside.size);
}

/* An emphasis mark at `at`, of any length: returns what follows it, or 0 when it is text. */
static size_t mark_end(const struct bh_str text, const size_t at)
{
    const char mark = text.data[at];
    size_t end = at;
    while (end < text.size && text.data[end] == mark)
        end++;
    if (mark == '~' && end - at != 2)
        return 0;
    const bool blank_before = at == 0 || tome_is_blank(text.data[at - 1]);
    const bool blank_behind = end == text.size || tome_is_blank(text.data[end]);
    if (blank_before && blank_behind)
        return 0;
    const bool inside_word = at > 0 && end < text.size && is_word_byte(text.data[at - 1]) &&
                             is_word_byte(text.data[end]);
    return mark == '_' && inside_word ? 0 : end;
}

static void append_code(struct bh_buf *const out, const struct bh_str text, size_t *const at)
{
    size_t ticks = 0;
    while (*at + ticks < text.size && text.data[*at + ticks] == '`')
        ticks++;
    const size_t begin = *at + ticks;
    for (size_t i = begin; i < text.size; i++) {
        size_t run = 0;
        while (i + run < text.size && text.data[i + run] == '`')
            run++;
        if (run == ticks) {
            bh_buf_append_str(out, part(text, begin, i));
            *at = i + run;
            return;
        }
        i += run;
    }
    bh_buf_append_str(out, part(text, *at, begin));
    *at = begin;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static void strip(struct bh_buf *out, struct bh_str text, unsigned depth);

/* Handles the markup at *at, if it is one; false: the byte there is text.
 * NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static bool strip_mark(struct bh_buf *const out, const struct bh_str text, size_t *const at,
                       const unsigned depth)
{
    size_t end = 0;
    size_t text_end = 0;
    switch (text.data[*at]) {
    case '\\':
        if (*at + 1 < text.size && is_punctuation(text.data[*at + 1])) {
            bh_buf_append_byte(out, text.data[*at + 1]);
            end = *at + 2;
        }
        break;
    case '`':
        append_code(out, text, at);
        return true;
    case '!':
        if (*at + 1 >= text.size || text.data[*at + 1] != '[')
            break;
        end = link_end(text, *at + 1, &text_end);
        if (end > 0 && depth < DEPTH_MAX)
            strip(out, part(text, *at + 2, text_end), depth + 1);
        break;
    case '[':
        end = link_end(text, *at, &text_end);
        if (end > 0 && depth < DEPTH_MAX)
            strip(out, part(text, *at + 1, text_end), depth + 1);
        break;
    case '<':
        end = tag_end(text, *at);
        if (end > 0 && is_address(part(text, *at + 1, end - 1)))
            bh_buf_append_str(out, part(text, *at + 1, end - 1));
        break;
    case '&':
        end = tome_entity_append(out, text, *at);
        break;
    case '*':
    case '_':
    case '~':
        end = mark_end(text, *at);
        break;
    default:
        break;
    }
    if (end == 0)
        return false;
    *at = end;
    return true;
}

static bool is_mark(const char byte)
{
    switch (byte) {
    case '\\':
    case '`':
    case '!':
    case '[':
    case '<':
    case '&':
    case '*':
    case '_':
    case '~':
        return true;
    default:
        return false;
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static void strip(struct bh_buf *const out, const struct bh_str text, const unsigned depth)
{
    size_t run = 0;
    for (size_t at = 0; at < text.size;) {
        if (BH_LIKELY(!is_mark(text.data[at]))) {
            at++;
            continue;
        }
        bh_buf_append_str(out, part(text, run, at));
        run = at;
        if (strip_mark(out, text, &at, depth))
            run = at;
        else
            at++;
    }
    bh_buf_append_str(out, part(text, run, text.size));
}

void tome_markdown_inline_append(struct bh_buf *const out, const struct bh_str line)
{
    strip(out, line, 0);
}

void tome_markdown_inline(struct tome_document *const document, const struct bh_str line)
{
    struct bh_buf text BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&text, line.size * 4 + 16);
    strip(&text, line, 0);
    tome_document_text(document, bh_buf_peek(&text));
}
