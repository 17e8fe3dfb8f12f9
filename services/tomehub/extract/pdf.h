/*
 * Reads PDF: poppler's programs, each a process in a sandbox of its own, turn the file into text,
 * facts and an outline; here pages are made of them: lines joined to paragraphs, hyphenated words
 * put together, running heads and page numbers dropped, chapters by the outline. Pages are the
 * file's own, 1…n.
 */
#pragma once

#include "extract/frame.h"

struct tome_pdf; /* opaque: the running programs */

/* The file is opened so often: its readers read at once, each with an offset of its own. */
#define TOME_PDF_FILES 3

/* Starts the programs on `files` (one regular file, open for reading; borrowed): before this
 * process is sealed. The second and third may be -1: title and number of pages, and chapters, then
 * stay unknown. BH_EUNAVAILABLE: poppler is not installed. BH_EIO, BH_ENOMEM. */
int tome_pdf_start(const int files[TOME_PDF_FILES], struct tome_pdf **ret_pdf,
                   struct bh_error *reterr) BH_MUST_CHECK;

/* NULL is fine. */
void tome_pdf_destroy(struct tome_pdf *pdf);
BH_DEFINE_CLEANUP(struct tome_pdf, tome_pdf_destroy)

/* Reads what they write until they have ended. NONE, ENCRYPTED, DAMAGED, NO_TEXT, TOO_LARGE,
 * TIMED_OUT, OUT_OF_MEMORY, INTERRUPTED or INTERNAL. */
enum tome_extract_failure tome_pdf_read(struct tome_pdf *pdf, struct tome_frame_writer *writer);
