#include "extract/markdown.h"
#include "extracting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    struct tome_frame_writer writer;
    struct tome_input input;
    extracting_begin(&writer);
    tome_input_memory(&input, (const char *)data, size);
    (void)tome_markdown_read(&input, &writer);
    extracting_end(&writer);
    return 0;
}
