#include "extract/reflow.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "extract/sentence.h"

#define SHORT_LINE_BYTES 40

void tome_reflow_init(struct tome_reflow *const reflow, struct tome_document *const document)
{
    *reflow = (struct tome_reflow){ .document = document };
}

static size_t hyphen_size(const struct bh_str line)
{
    if (bh_str_ends_with(line, BH_STR("-")))
        return 1;
    return bh_str_ends_with(line, BH_STR("\u2010")) ? 3 : 0;
}

/* A letter and one hyphen at the end: the word may go on in the next line. */
static bool ends_hyphenated(const struct bh_str line)
{
    const size_t hyphen = hyphen_size(line);
    if (hyphen == 0 || line.size == hyphen || line.size > INT32_MAX)
        return false;
    int32_t at = (int32_t)(line.size - hyphen);
    UChar32 point;
    U8_PREV((const uint8_t *)line.data, 0, at, point);
    return point >= 0 && u_isalpha(point);
}

static void settle_hyphen(struct tome_reflow *const reflow, const struct bh_str next)
{
    if (!tome_begins_small(next))
        tome_document_text(reflow->document, BH_STR("-"));
    reflow->hyphen = false;
}

/* Blanks at its ends are gone. */
static struct bh_str trim(struct bh_str line)
{
    while (line.size > 0 && tome_is_blank(line.data[line.size - 1]))
        line.size--;
    while (line.size > 0 && tome_is_blank(line.data[0])) {
        line.data++;
        line.size--;
    }
    return line;
}

static void join(struct tome_reflow *const reflow, const struct bh_str next)
{
    if (reflow->hyphen)
        settle_hyphen(reflow, next);
    else if (reflow->open && reflow->short_line)
        tome_document_line_break(reflow->document);
    else if (reflow->open)
        tome_document_text(reflow->document, BH_STR(" "));
    reflow->open = true;
}

void tome_reflow_line(struct tome_reflow *const reflow, const struct bh_str line)
{
    if (reflow->inside_line) {
        tome_document_text(reflow->document, line);
        reflow->inside_line = false;
        return;
    }
    struct bh_str text = trim(line);
    if (text.size == 0) {
        tome_reflow_end_paragraph(reflow);
        return;
    }
    join(reflow, text);
    reflow->short_line = text.size < SHORT_LINE_BYTES;
    reflow->hyphen = ends_hyphenated(text);
    if (reflow->hyphen)
        text.size -= hyphen_size(text);
    tome_document_text(reflow->document, text);
}

void tome_reflow_piece(struct tome_reflow *const reflow, const struct bh_str piece)
{
    if (!reflow->inside_line)
        join(reflow, piece);
    reflow->inside_line = true;
    reflow->short_line = false;
    tome_document_text(reflow->document, piece);
}

void tome_reflow_end_paragraph(struct tome_reflow *const reflow)
{
    if (reflow->hyphen)
        settle_hyphen(reflow, BH_STR_NONE);
    if (reflow->open)
        tome_document_end_paragraph(reflow->document);
    reflow->open = false;
    reflow->short_line = false;
}
