#include "extract/pdf.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "extract/pdf_pages.h"
#include "extract/pdf_programs.h"
#include "extract/text.h"

#define PDFTOTEXT "/usr/bin/pdftotext"
#define PDFINFO "/usr/bin/pdfinfo"
#define PDFTOHTML "/usr/bin/pdftohtml"
#define FACTS_BYTES_MAX 65536

struct tome_pdf {
    struct tome_program text;    /* pdftotext */
    struct tome_program facts;   /* pdfinfo: title, author, number of pages */
    struct tome_program outline; /* pdftohtml of the first page: the outline comes with it */
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

static void use_facts(struct tome_document *const document, struct bh_str facts,
                      uint64_t *const ret_page_count)
{
    while (facts.size > 0) {
        struct bh_str value = bh_str_split(&facts, '\n');
        const struct bh_str name = take_fact(&value);
        int64_t count;
        if (bh_str_equal(name, BH_STR("Title")))
            tome_document_meta(document, TOME_META_TITLE, value);
        else if (bh_str_equal(name, BH_STR("Author")))
            tome_document_meta(document, TOME_META_AUTHOR, value);
        else if (bh_str_equal(name, BH_STR("Pages")) && *ret_page_count == 0 &&
                 bh_str_to_int64(value, 1, TOME_PAGE_NUMBER_MAX, &count) == 0)
            *ret_page_count = (uint64_t)count;
    }
}

static int read_facts(struct tome_program *const program, struct tome_document *const document,
                      uint64_t *const ret_page_count)
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
        use_facts(document, (struct bh_str){ .data = facts, .size = size }, ret_page_count);
    free(facts);
    (void)tome_program_wait(program);
    return error;
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

static int read_outline(struct tome_program *const program, struct tome_outline **const ret_outline)
{
    struct tome_input input;
    tome_program_output(program, &input);
    const int error = tome_outline_read(&input, ret_outline);
    (void)tome_program_wait(program);
    return error;
}

enum tome_extract_failure tome_pdf_read(struct tome_pdf *const pdf,
                                        struct tome_frame_writer *const writer)
{
    struct tome_document *document BH_CLEANUP(tome_document_destroy_cleanup) = NULL;
    struct tome_outline *outline BH_CLEANUP(tome_outline_destroy_cleanup) = NULL;
    struct tome_input input;
    uint64_t pages_promised = 0;
    uint64_t pages_read = 0;
    int error = tome_document_create(writer, TOME_PAGES_REAL, &document);
    if (!error)
        error = read_facts(&pdf->facts, document, &pages_promised);
    if (!error)
        error = read_outline(&pdf->outline, &outline);
    tome_program_output(&pdf->text, &input);
    if (!error)
        error = tome_pdf_pages_read(&input, document, outline, pages_promised, &pages_read);
    if (error) /* without waiting: the program may be busy for long, and the parent ends it */
        return tome_failure_of(error);
    const enum tome_extract_failure failure = judge(&pdf->text, tome_program_wait(&pdf->text));
    if (failure != TOME_FAILURE_NONE)
        return failure;
    /* Poppler repairs what it can and leaves out the rest: part of a book is not the book. */
    if (pages_read < pages_promised)
        return TOME_FAILURE_DAMAGED;
    return tome_document_has_text(document) ? TOME_FAILURE_NONE : TOME_FAILURE_NO_TEXT;
}
