/*
 * Reads Markdown line by line: headings of the first three levels begin chapters, markup is taken
 * off, code is kept as it stands, front matter (YAML or TOML) gives title, author, tags and
 * language. Pages are sections. Memory does not grow with the file.
 *
 * It is a reader for search, not a renderer: what it does not understand stays as text.
 */
#pragma once

#include "extract/frame.h"
#include "extract/input.h"

/* As tome_text_read(). */
enum tome_extract_failure tome_markdown_read(struct tome_input *input,
                                             struct tome_frame_writer *writer);
