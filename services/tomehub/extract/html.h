/*
 * Reads HTML: a stream of tags becomes paragraphs, chapters and pages of a document.
 *
 * libxml2's HTML parser in push mode, without a tree: memory does not grow with the file. Nothing
 * is ever loaded. Scripts, styles, navigation, forms' controls and marks of footnotes leave no
 * text. One thread at a time.
 */
#pragma once

#include "extract/document.h"
#include "extract/input.h"

struct tome_html_options {
    bool headings_are_chapters; /* h1, h2, h3 */
    bool whole_file;            /* <title>, author and lang are META; progress is reported */
    bool page_breaks;           /* epub:type="pagebreak" begins a page */
    /* An element with this id begins (NULL: not wanted). `id` is borrowed. */
    void (*on_anchor)(void *argument, struct bh_str id);
    void *argument;
};

/* Parses `input` to its end into `document`. The encoding is found as decode.h says; XHTML is read
 * as HTML. 0, or what the input, the document or the decoder says. */
int tome_html_parse(struct tome_input *input, struct tome_document *document,
                    const struct tome_html_options *options) BH_MUST_CHECK;

/* Reads an HTML file; as tome_text_read(). */
enum tome_extract_failure tome_html_read(struct tome_input *input,
                                         struct tome_frame_writer *writer);
