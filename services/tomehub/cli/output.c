/* Standard output, checked. */
#include "cli/output.h"

#include <stdio.h>

enum tome_exit tome_output(const struct bh_buf *const text)
{
    if (bh_buf_error(text) != 0) {
        fputs("tomehub: out of memory\n", stderr);
        return TOME_EXIT_FAILED;
    }
    if (fwrite(text->data, 1, text->size, stdout) != text->size || fflush(stdout) != 0) {
        fputs("tomehub: cannot write to standard output\n", stderr);
        return TOME_EXIT_FAILED;
    }
    return TOME_EXIT_OK;
}

enum tome_exit tome_output_line(struct bh_buf *const text)
{
    bh_buf_append_byte(text, '\n');
    return tome_output(text);
}
