/*
 * A page waits until the heads of the next few are known, so that its own can be told from text:
 *
 *   edges:  [8 pages written][page to write][8 pages waiting]   what their first and last lines are
 *   texts:                   [page to write][8 pages waiting]
 */
#include "extract/pdf.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "extract/document.h"
#include "extract/lines.h"
#include "extract/pdf_outline.h"
#include "extract/pdf_programs.h"
#include "extract/reflow.h"
#include "extract/running_heads.h"
#include "extract/sentence.h"
#include "extract/text.h"

#define PDFTOTEXT "/usr/bin/pdftotext"
#define PDFINFO "/usr/bin/pdfinfo"
#define PDFTOHTML "/usr/bin/pdftohtml"
#define FACTS_BYTES_MAX 65536
#define PAGES_NEAR 8u
#define PAGE_BYTES_MAX (512u * 1024) /* what is longer leaves in parts, heads and all */
#define FULL_LINE_PERCENT 80u

struct tome_pdf {
    struct tome_program text;    /* pdftotext */
    struct tome_program facts;   /* pdfinfo: title, author, number of pages */
    struct tome_program outline; /* pdftohtml of the first page: the outline comes with it */
};

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

/* --- starting and ending ---------------------------------------------------------------------- */

int tome_pdf_start(const int files[TOME_PDF_FILES], struct tome_pdf **const ret_pdf,
                   struct bh_error *const reterr)
{
    static const char *const text[] = { PDFTOTEXT, "-enc",   "UTF-8", "-eol",
                                        "unix",    "fd://3", "-",     NULL };
    static const char *const facts[] = { PDFINFO, "-enc", "UTF-8", "fd://3", NULL };
    static const char *const outline[] = { PDFTOHTML, "-xml", "-i", "-stdout", "-enc",   "UTF-8",
                                           "-f",      "1",    "-l", "1",       "fd://3", NULL };
    struct tome_pdf *const pdf = calloc(1, sizeof(*pdf));
    if (!pdf)
        return bh_error_set(reterr, BH_ENOMEM, "out of memory for reading a PDF");
    const int error = tome_program_start(text, files[0], &pdf->text, reterr);
    if (error) {
        tome_pdf_destroy(pdf);
        return error;
    }
    /* Without facts and outline there is still a book. */
    if (files[1] >= 0)
        (void)!tome_program_start(facts, files[1], &pdf->facts, NULL);
    if (files[2] >= 0)
        (void)!tome_program_start(outline, files[2], &pdf->outline, NULL);
    *ret_pdf = pdf;
    return 0;
}

void tome_pdf_destroy(struct tome_pdf *const pdf)
{
    if (!pdf)
        return;
    (void)tome_program_wait(&pdf->text);
    (void)tome_program_wait(&pdf->facts);
    (void)tome_program_wait(&pdf->outline);
    free(pdf);
}

/* --- facts ------------------------------------------------------------------------------------ */

static struct bh_str take_fact(struct bh_str *const line)
{
    const struct bh_str name = bh_str_split(line, ':');
    *line = bh_str_trim(*line);
    return name;
}

static void use_facts(struct reader *const reader, struct bh_str facts)
{
    while (facts.size > 0) {
        struct bh_str value = bh_str_split(&facts, '\n');
        const struct bh_str name = take_fact(&value);
        int64_t count;
        if (bh_str_equal(name, BH_STR("Title")))
            tome_document_meta(reader->document, TOME_META_TITLE, value);
        else if (bh_str_equal(name, BH_STR("Author")))
            tome_document_meta(reader->document, TOME_META_AUTHOR, value);
        else if (bh_str_equal(name, BH_STR("Pages")) && reader->page_count == 0 &&
                 bh_str_to_int64(value, 1, TOME_PAGE_NUMBER_MAX, &count) == 0)
            reader->page_count = (uint64_t)count;
    }
}

static int read_facts(struct reader *const reader, struct tome_program *const program)
{
    if (program->pid == 0)
        return 0;
    char *const facts = malloc(FACTS_BYTES_MAX);
    if (!facts)
        return BH_ENOMEM;
    struct tome_input input;
    size_t size;
    tome_program_output(program, &input);
    const int error = tome_input_read(&input, facts, FACTS_BYTES_MAX, &size);
    if (!error)
        use_facts(reader, (struct bh_str){ .data = facts, .size = size });
    free(facts);
    (void)tome_program_wait(program);
    return error;
}

/* --- pages ------------------------------------------------------------------------------------ */

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

static struct bh_str trim(struct bh_str text)
{
    while (text.size > 0 && tome_is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && tome_is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Writes the page that has waited longest. */
static void write_page(struct reader *const reader)
{
    struct page *const page = &reader->waiting[0];
    const size_t index = reader->edge_count - reader->waiting_count;
    const struct bh_str text = trim(
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
        write_text(reader, trim(bh_buf_peek(&reader->text)));
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
    if (trim(bh_buf_peek(&reader->text)).size > 0) {
        const int error = end_page(reader);
        if (error)
            return error;
    }
    write_waiting(reader);
    tome_reflow_end_paragraph(&reader->reflow);
    tome_document_finish(reader->document);
    return tome_document_error(reader->document);
}

/* --- outcome ---------------------------------------------------------------------------------- */

static enum tome_extract_failure judge(const struct tome_program *const program, const int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return TOME_FAILURE_TIMED_OUT;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return TOME_FAILURE_INTERRUPTED;
    if (tome_program_complains(program, "ncorrect password") ||
        tome_program_complains(program, "Copying of text") ||
        tome_program_complains(program, "nsupported security handler") ||
        tome_program_complains(program, "Unsupported version/revision"))
        return TOME_FAILURE_ENCRYPTED;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return TOME_FAILURE_NONE;
    if (tome_program_complains(program, "ut of memory") ||
        tome_program_complains(program, "bad_alloc"))
        return TOME_FAILURE_OUT_OF_MEMORY;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return TOME_FAILURE_INTERNAL;
    return TOME_FAILURE_DAMAGED;
}

static int read_outline(struct reader *const reader, struct tome_program *const program)
{
    struct tome_input input;
    tome_program_output(program, &input);
    const int error = tome_outline_read(&input, &reader->outline);
    (void)tome_program_wait(program);
    return error;
}

static int read_all(struct reader *const reader, struct tome_pdf *const pdf)
{
    struct tome_lines *lines BH_CLEANUP(tome_lines_destroy_cleanup) = NULL;
    struct tome_input input;
    int error = read_facts(reader, &pdf->facts);
    if (!error)
        error = read_outline(reader, &pdf->outline);
    tome_program_output(&pdf->text, &input);
    if (!error)
        error = tome_lines_create(&input, &lines);
    return error ? error : read_pages(reader, lines);
}

static struct reader *create_reader(struct tome_document *const document)
{
    struct reader *const reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    reader->document = document;
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
    tome_outline_destroy(reader->outline);
    bh_buf_fini(&reader->text);
    for (size_t i = 0; i < BH_COUNT_OF(reader->waiting); i++)
        bh_buf_fini(&reader->waiting[i].text);
    free(reader);
}

enum tome_extract_failure tome_pdf_read(struct tome_pdf *const pdf,
                                        struct tome_frame_writer *const writer,
                                        struct bh_error *const detail)
{
    (void)detail;
    struct tome_document *document BH_CLEANUP(tome_document_destroy_cleanup) = NULL;
    int error = tome_document_create(writer, TOME_PAGES_REAL, &document);
    struct reader *const reader = error ? NULL : create_reader(document);
    if (!error)
        error = reader ? read_all(reader, pdf) : BH_ENOMEM;
    const uint64_t pages_promised = reader ? reader->page_count : 0;
    const uint64_t pages_read = reader ? reader->number - 1 : 0;
    destroy_reader(reader);
    const int status = tome_program_wait(&pdf->text);
    if (error)
        return tome_failure_of(error);
    const enum tome_extract_failure failure = judge(&pdf->text, status);
    if (failure != TOME_FAILURE_NONE)
        return failure;
    /* Poppler repairs what it can and leaves out the rest: part of a book is not the book. */
    if (pages_read < pages_promised)
        return TOME_FAILURE_DAMAGED;
    return tome_document_has_text(document) ? TOME_FAILURE_NONE : TOME_FAILURE_NO_TEXT;
}
