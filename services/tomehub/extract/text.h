/*
 * Reads plain text: paragraphs are separated by empty lines, form feeds separate pages (then the
 * pages are real, else sections). Memory does not grow with the file.
 */
#pragma once

#include "extract/frame.h"
#include "extract/input.h"

/* `input`: the file; read from its start. NONE, EMPTY, TOO_LARGE, OUT_OF_MEMORY or INTERNAL. */
enum tome_extract_failure tome_text_read(struct tome_input *input,
                                         struct tome_frame_writer *writer);

/* What a BH_E code of an input or a document means for the file. */
enum tome_extract_failure tome_failure_of(int error);
