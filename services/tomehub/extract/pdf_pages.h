/*
 * The pages of a PDF, from the lines that pdftotext writes: form feeds end pages. Running heads go,
 * lines become paragraphs (also from page to page), the outline's titles begin chapters. Memory
 * holds a few pages. One thread at a time.
 */
#pragma once

#include "extract/document.h"
#include "extract/input.h"
#include "extract/pdf_outline.h"

/* Reads `input` to its end into `document` (of real pages) and finishes that. `page_count`: for the
 * progress; 0: unknown. *ret_page_count: the pages there were. 0, or what the input or the document
 * says. */
int tome_pdf_pages_read(struct tome_input *input, struct tome_document *document,
                        struct tome_outline *outline, uint64_t page_count,
                        uint64_t *ret_page_count) BH_MUST_CHECK;
