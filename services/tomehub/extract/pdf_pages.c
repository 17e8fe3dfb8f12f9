/*
 * A page waits until the heads of the next few are known, so that its own can be told from text:
 *
 *   edges:  [8 pages written][page to write][8 pages waiting]   what their first and last lines are
 *   texts:                   [page to write][8 pages waiting]
 */
#include "extract/pdf_pages.h"

#include <stdlib.h>

#include "extract/lines.h"
#include "extract/reflow.h"
#include "extract/running_heads.h"
#include "extract/sentence.h"

#define PAGES_NEAR 8u
#define PAGE_BYTES_MAX (512u * 1024) /* what is longer leaves in parts, heads and all */
#define FULL_LINE_PERCENT 80u

struct page {
    struct bh_buf text;
    uint32_t number;
};

struct reader {
    struct tome_document *document;
    struct tome_reflow reflow;
    struct tome_outline *outline;
    struct page waiting[PAGES_NEAR + 1];
    size_t waiting_count;
    struct tome_head_edges edges[2 * PAGES_NEAR + 1];
    size_t edge_count;   /* the last `waiting_count` of them belong to the waiting pages */
    struct bh_buf text;  /* of the page being received */
    uint32_t number;     /* of that page */
    bool continued;      /* a part of it has been written already */
    uint64_t page_count; /* as the file says; 0: unknown */
};

static size_t longest_line(struct bh_str text)
{
    size_t longest = 0;
    while (text.size > 0) {
        const size_t size = bh_str_split(&text, '\n').size;
        longest = size > longest ? size : longest;
    }
    return longest;
}

static struct bh_str last_word(const struct bh_str line)
{
    size_t begin = line.size;
    while (begin > 0 && !tome_is_blank(line.data[begin - 1]))
        begin--;
    return (struct bh_str){ .data = line.data + begin, .size = line.size - begin };
}

static bool begins_item(const struct bh_str text)
{
    static const struct bh_str marks[] = { { "\u2022", 3 },  { "\u25AA", 3 }, { "\u25E6", 3 },
                                           { "\u2023", 3 },  { "- ", 2 },     { "* ", 2 },
                                           { "\u2013 ", 4 }, { "\u2014 ", 4 } };
    for (size_t i = 0; i < BH_COUNT_OF(marks); i++) {
        if (bh_str_starts_with(text, marks[i]))
            return true;
    }
    return false;
}

/* Poppler writes no empty line between paragraphs that stand close; a line that is not full and
 * ends a sentence is the last of one. */
static bool ends_paragraph(const struct bh_str line, const struct bh_str next, const size_t full)
{
    return begins_item(next) || (line.size * 100 < full * FULL_LINE_PERCENT &&
                                 tome_sentence_ends(last_word(line), next));
}

static void begin_chapter(struct reader *const reader, const struct bh_str title)
{
    if (title.size == 0)
        return;
    tome_reflow_end_paragraph(&reader->reflow);
    tome_document_chapter(reader->document, title);
}

static void write_text(struct reader *const reader, struct bh_str text)
{
    const size_t full = longest_line(text);
    while (text.size > 0) {
        const struct bh_str line = bh_str_split(&text, '\n');
        begin_chapter(reader, tome_outline_line(reader->outline, line));
        tome_reflow_line(&reader->reflow, line);
        if (text.size > 0 && ends_paragraph(line, text, full))
            tome_reflow_end_paragraph(&reader->reflow);
    }
}

/* Writes the page that has waited longest. */
static void write_page(struct reader *const reader)
{
    struct page *const page = &reader->waiting[0];
    const size_t index = reader->edge_count - reader->waiting_count;
    const struct bh_str text = tome_trim(
        tome_head_strip(bh_buf_peek(&page->text), reader->edges, reader->edge_count, index));
    /* A paragraph goes on from page to page when the new page begins with a small letter. */
    if (text.size > 0 && !tome_begins_small(text))
        tome_reflow_end_paragraph(&reader->reflow);
    tome_document_page(reader->document, BH_STR_NONE);
    begin_chapter(reader, tome_outline_page(reader->outline, page->number, text));
    write_text(reader, text);
    tome_document_progress(reader->document, page->number, reader->page_count);

    const struct page empty = *page;
    reader->waiting_count--;
    memmove(reader->waiting, reader->waiting + 1, reader->waiting_count * sizeof(*reader->waiting));
    reader->waiting[reader->waiting_count] = empty;
    if (index < PAGES_NEAR)
        return;
    reader->edge_count--;
    memmove(reader->edges, reader->edges + 1, reader->edge_count * sizeof(*reader->edges));
}

static void write_waiting(struct reader *const reader)
{
    while (reader->waiting_count > 0)
        write_page(reader);
}

static int end_page(struct reader *const reader)
{
    if (reader->continued) {
        write_text(reader, tome_trim(bh_buf_peek(&reader->text)));
    } else {
        struct page *const page = &reader->waiting[reader->waiting_count++];
        bh_buf_clear(&page->text);
        bh_buf_append_str(&page->text, bh_buf_peek(&reader->text));
        page->number = reader->number;
        if (bh_buf_error(&page->text))
            return bh_buf_error(&page->text);
        reader->edges[reader->edge_count++] = tome_head_edges(bh_buf_peek(&page->text),
                                                              page->number);
    }
    if (reader->waiting_count > PAGES_NEAR)
        write_page(reader);
    bh_buf_clear(&reader->text);
    reader->continued = false;
    reader->number++;
    return tome_document_error(reader->document);
}

/* A page without end: what has come of it leaves as it is. */
static void write_part(struct reader *const reader)
{
    write_waiting(reader);
    if (!reader->continued) {
        tome_reflow_end_paragraph(&reader->reflow);
        tome_document_page(reader->document, BH_STR_NONE);
    }
    write_text(reader, bh_buf_peek(&reader->text));
    bh_buf_clear(&reader->text);
    reader->continued = true;
}

static int read_pages(struct reader *const reader, struct tome_lines *const lines)
{
    struct tome_line line;
    int result;
    while ((result = tome_lines_next(lines, &line)) == 1) {
        bh_buf_append_str(&reader->text, line.text);
        if (line.whole)
            bh_buf_append_byte(&reader->text, '\n');
        if (reader->text.size > PAGE_BYTES_MAX)
            write_part(reader);
        int error = bh_buf_error(&reader->text);
        if (!error && line.page_ends)
            error = end_page(reader);
        if (!error)
            error = tome_document_error(reader->document);
        if (error)
            return error;
    }
    if (result < 0)
        return result;
    if (tome_trim(bh_buf_peek(&reader->text)).size > 0) {
        const int error = end_page(reader);
        if (error)
            return error;
    }
    write_waiting(reader);
    tome_reflow_end_paragraph(&reader->reflow);
    tome_document_finish(reader->document);
    return tome_document_error(reader->document);
}

static struct reader *create_reader(struct tome_document *const document,
                                    struct tome_outline *const outline, const uint64_t page_count)
{
    struct reader *const reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    reader->document = document;
    reader->outline = outline;
    reader->page_count = page_count;
    reader->number = 1;
    tome_reflow_init(&reader->reflow, document);
    bh_buf_init(&reader->text, (size_t)PAGE_BYTES_MAX * 2);
    for (size_t i = 0; i < BH_COUNT_OF(reader->waiting); i++)
        bh_buf_init(&reader->waiting[i].text, (size_t)PAGE_BYTES_MAX * 2);
    return reader;
}

static void destroy_reader(struct reader *const reader)
{
    if (!reader)
        return;
    bh_buf_fini(&reader->text);
    for (size_t i = 0; i < BH_COUNT_OF(reader->waiting); i++)
        bh_buf_fini(&reader->waiting[i].text);
    free(reader);
}

int tome_pdf_pages_read(struct tome_input *const input, struct tome_document *const document,
                        struct tome_outline *const outline, const uint64_t page_count,
                        uint64_t *const ret_page_count)
{
    struct tome_lines *lines BH_CLEANUP(tome_lines_destroy_cleanup) = NULL;
    struct reader *const reader = create_reader(document, outline, page_count);
    if (!reader)
        return BH_ENOMEM;
    int error = tome_lines_create(input, &lines);
    if (!error)
        error = read_pages(reader, lines);
    if (!error)
        *ret_page_count = reader->number - 1;
    destroy_reader(reader);
    return error;
}
