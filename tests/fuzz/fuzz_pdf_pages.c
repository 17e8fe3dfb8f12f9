/* What poppler may write: an outline, and behind a NUL byte the text of the pages. */
#include "extract/pdf_pages.h"
#include "extracting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    struct tome_frame_writer writer;
    struct tome_document *document;
    struct tome_outline *outline;
    struct tome_input input;
    uint64_t pages = 0;
    struct bh_str text = { .data = (const char *)data, .size = size };
    const struct bh_str items = bh_str_split(&text, '\0');
    extracting_begin(&writer);
    bh_assert(tome_document_create(&writer, TOME_PAGES_REAL, &document) == 0);
    tome_input_memory(&input, items.data, items.size);
    bh_assert(tome_outline_read(&input, &outline) == 0);
    tome_input_memory(&input, text.data, text.size);
    bh_assert(tome_pdf_pages_read(&input, document, outline, 3, &pages) == 0);
    tome_outline_destroy(outline);
    tome_document_destroy(document);
    extracting_end(&writer);
    return 0;
}
