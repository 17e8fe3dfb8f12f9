/* Printing on standard output, with failures noticed (a full disk, a closed pipe). */
#pragma once

#include "bulkhead/base/buf.h"
#include "cli/command.h"

/* The buffer's text, and the same with a line end behind it. OK, or FAILED and told. */
enum tome_exit tome_output(const struct bh_buf *text);
enum tome_exit tome_output_line(struct bh_buf *text);
