/* Markup inside a line of Markdown: emphasis, code, links, tags, entities. One thread. */
#pragma once

#include "extract/document.h"

/* Writes `line` without its markup. A link leaves its text, an image its description. */
void tome_markdown_inline(struct tome_document *document, struct bh_str line);

/* The same into `out`, for titles. */
void tome_markdown_inline_append(struct bh_buf *out, struct bh_str line);
