#include "extract/sniff.h"

#include "extract/sentence.h"

#define PDF_MARK_WITHIN 1024u
#define CONTROL_SHARE_MAX 50u /* one control character in so many bytes is a binary */

static bool starts_nocase(const struct bh_str text, const struct bh_str prefix)
{
    return text.size >= prefix.size &&
           bh_str_equal_nocase((struct bh_str){ .data = text.data, .size = prefix.size }, prefix);
}

static bool has_nocase(const struct bh_str text, const struct bh_str word)
{
    for (size_t at = 0; at + word.size <= text.size; at++) {
        if (starts_nocase((struct bh_str){ .data = text.data + at, .size = text.size - at }, word))
            return true;
    }
    return false;
}

static struct bh_str extension_of(const struct bh_str name)
{
    for (size_t at = name.size; at > 0 && name.data[at - 1] != '/'; at--) {
        if (name.data[at - 1] == '.')
            return (struct bh_str){ .data = name.data + at, .size = name.size - at };
    }
    return BH_STR_NONE;
}

static bool has_extension(const struct bh_str name, const char *const *const extensions,
                          const size_t count)
{
    const struct bh_str extension = extension_of(name);
    for (size_t i = 0; i < count; i++) {
        if (bh_str_equal_nocase(extension, bh_str_from(extensions[i])))
            return true;
    }
    return false;
}

static bool is_wide(const struct bh_str head)
{
    return bh_str_starts_with(head, BH_STR("\xFF\xFE")) ||
           bh_str_starts_with(head, BH_STR("\xFE\xFF"));
}

/* NUL bytes or many control characters, and files of text that are no text to read. */
static bool is_binary(const struct bh_str head)
{
    size_t controls = 0;
    for (size_t i = 0; i < head.size; i++) {
        const unsigned char byte = (unsigned char)head.data[i];
        if (byte == 0)
            return true;
        controls += (byte < ' ' && !tome_is_blank((char)byte) && byte != 0x1B) || byte == 0x7F;
    }
    return controls * CONTROL_SHARE_MAX > head.size;
}

static bool is_foreign_text(const struct bh_str head)
{
    return bh_str_starts_with(head, BH_STR("{\\rtf")) || bh_str_starts_with(head, BH_STR("%!PS")) ||
           bh_str_starts_with(head, BH_STR("GIF8"));
}

static struct bh_str without_mark(struct bh_str head)
{
    if (bh_str_starts_with(head, BH_STR("\xEF\xBB\xBF"))) {
        head.data += 3;
        head.size -= 3;
    }
    while (head.size > 0 && tome_is_blank(head.data[0])) {
        head.data++;
        head.size--;
    }
    return head;
}

static bool is_html(const struct bh_str text)
{
    if (starts_nocase(text, BH_STR("<!doctype html")) || starts_nocase(text, BH_STR("<html")) ||
        starts_nocase(text, BH_STR("<head")) || starts_nocase(text, BH_STR("<body")))
        return true;
    return (starts_nocase(text, BH_STR("<?xml")) || starts_nocase(text, BH_STR("<!--"))) &&
           has_nocase(text, BH_STR("<html"));
}

static enum tome_source text_format(const struct bh_str text, const struct bh_str name)
{
    static const char *const html[] = { "html", "htm", "xhtml", "xht" };
    static const char *const markdown[] = { "md", "markdown", "mdown", "mkd", "mkdn", "mdwn" };
    if (is_html(text))
        return TOME_SOURCE_HTML;
    if (has_extension(name, html, BH_COUNT_OF(html)) && memchr(text.data, '<', text.size))
        return TOME_SOURCE_HTML;
    if (has_extension(name, markdown, BH_COUNT_OF(markdown)))
        return TOME_SOURCE_MARKDOWN;
    if (extension_of(name).size == 0 && bh_str_starts_with(text, BH_STR("# ")))
        return TOME_SOURCE_MARKDOWN;
    return TOME_SOURCE_TEXT;
}

enum tome_extract_failure tome_sniff(const struct bh_str head, const struct bh_str name,
                                     enum tome_source *const ret_source)
{
    if (head.size == 0)
        return TOME_FAILURE_EMPTY;
    const size_t within = head.size < PDF_MARK_WITHIN ? head.size : PDF_MARK_WITHIN;
    if (memmem(head.data, within, "%PDF-", 5)) {
        *ret_source = TOME_SOURCE_PDF;
        return TOME_FAILURE_NONE;
    }
    if (bh_str_starts_with(head, BH_STR("PK\x03\x04"))) {
        *ret_source = TOME_SOURCE_EPUB; /* the reader refuses other ZIP archives */
        return TOME_FAILURE_NONE;
    }
    if (is_wide(head)) {
        *ret_source = text_format(head, name);
        return TOME_FAILURE_NONE;
    }
    const struct bh_str text = without_mark(head);
    if (is_binary(head) || is_foreign_text(text))
        return TOME_FAILURE_UNSUPPORTED;
    if (text.size == 0 && head.size < TOME_SNIFF_BYTES)
        return TOME_FAILURE_EMPTY;
    const enum tome_source format = text.size > 0 ? text_format(text, name) : TOME_SOURCE_TEXT;
    static const char *const plain[] = { "txt", "text", "md", "markdown" };
    if (format == TOME_SOURCE_TEXT && bh_str_starts_with(text, BH_STR("<?xml")) &&
        !has_extension(name, plain, BH_COUNT_OF(plain)))
        return TOME_FAILURE_UNSUPPORTED;
    *ret_source = format;
    return TOME_FAILURE_NONE;
}
