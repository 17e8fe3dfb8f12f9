#include "extract/text.h"

#include "extract/document.h"
#include "extract/lines.h"
#include "extract/reflow.h"

/* The first pages decide; a file whose first form feed comes later is not a paginated one. */
#define PAGES_PROBE_BYTES (256u * 1024)
#define PROBE_STEP_BYTES 4096u

enum tome_extract_failure tome_failure_of(const int error)
{
    switch (error) {
    case 0:
        return TOME_FAILURE_NONE;
    case BH_ELIMIT:
        return TOME_FAILURE_TOO_LARGE;
    case BH_ENOMEM:
        return TOME_FAILURE_OUT_OF_MEMORY;
    case BH_ECORRUPT:
        return TOME_FAILURE_DAMAGED;
    default:
        return TOME_FAILURE_INTERNAL;
    }
}

/* Whether a form feed stands between text in the first bytes; rewinds the input. */
static int has_pages(struct tome_input *const input, bool *const ret_pages)
{
    char bytes[PROBE_STEP_BYTES];
    bool form_feed = false;
    bool pages = false;
    bool wide = false; /* NUL bytes: UTF-16 */
    size_t size = sizeof(bytes);
    while (!pages && !wide && size == sizeof(bytes) && input->done < PAGES_PROBE_BYTES) {
        const int error = tome_input_read(input, bytes, sizeof(bytes), &size);
        if (error)
            return error;
        for (size_t i = 0; i < size; i++) {
            pages = pages || (form_feed && bytes[i] > ' ');
            form_feed = form_feed || bytes[i] == '\f';
            wide = wide || bytes[i] == '\0';
        }
    }
    input->done = 0;
    *ret_pages = pages && !wide;
    return 0;
}

static int read_lines(struct tome_lines *const lines, const struct tome_input *const input,
                      struct tome_document *const document, const bool pages)
{
    struct tome_reflow reflow;
    tome_reflow_init(&reflow, document);
    if (pages)
        tome_document_page(document, BH_STR_NONE);
    struct tome_line line;
    int result;
    while ((result = tome_lines_next(lines, &line)) == 1) {
        if (line.whole)
            tome_reflow_line(&reflow, line.text);
        else
            tome_reflow_piece(&reflow, line.text);
        if (line.page_ends && pages) {
            tome_reflow_end_paragraph(&reflow);
            tome_document_page(document, BH_STR_NONE);
        }
        tome_document_progress(document, input->done, input->total);
        if (tome_document_error(document))
            return tome_document_error(document);
    }
    if (result < 0)
        return result;
    tome_reflow_end_paragraph(&reflow);
    tome_document_finish(document);
    return tome_document_error(document);
}

enum tome_extract_failure tome_text_read(struct tome_input *const input,
                                         struct tome_frame_writer *const writer)
{
    struct tome_document *document BH_CLEANUP(tome_document_destroy_cleanup) = NULL;
    struct tome_lines *lines BH_CLEANUP(tome_lines_destroy_cleanup) = NULL;
    bool pages = false;
    int error = has_pages(input, &pages);
    if (!error)
        error = tome_document_create(writer, pages ? TOME_PAGES_REAL : TOME_PAGES_SECTIONS,
                                     &document);
    if (!error)
        error = tome_lines_create(input, &lines);
    if (!error)
        error = read_lines(lines, input, document, pages);
    if (error)
        return tome_failure_of(error);
    return tome_document_has_text(document) ? TOME_FAILURE_NONE : TOME_FAILURE_EMPTY;
}
