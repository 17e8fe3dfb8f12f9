/*
 * Reads PDF: poppler's pdftotext and pdfinfo, each a process in a sandbox of its own, turn the file
 * into text and facts; here pages are made of them: lines joined to paragraphs, hyphenated words
 * put together, running heads and page numbers dropped. Pages are the file's own, 1…n.
 */
#pragma once

#include "extract/frame.h"

struct tome_pdf; /* opaque: the running programs */

/* Starts the programs on `file` (open for reading, regular): before this process is sealed.
 * `facts_file`: the same file opened a second time, so that both can read at once, each with an
 * offset of its own; -1: title, author and the number of pages stay unknown. Both are borrowed.
 * BH_EUNAVAILABLE: they are not installed. BH_EIO, BH_ENOMEM. */
int tome_pdf_start(int file, int facts_file, struct tome_pdf **ret_pdf,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* NULL is fine. */
void tome_pdf_destroy(struct tome_pdf *pdf);
BH_DEFINE_CLEANUP(struct tome_pdf, tome_pdf_destroy)

/* Reads what they write until they have ended. As tome_epub_read(), and TIMED_OUT. */
enum tome_extract_failure tome_pdf_read(struct tome_pdf *pdf, struct tome_frame_writer *writer,
                                        struct bh_error *detail);
