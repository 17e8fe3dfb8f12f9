/*
 * Reads EPUB 2 and 3: the spine in its order, chapters from the table of contents, pages from the
 * page list if there is one, else sections.
 *
 * One document is in memory at a time. The archive is read through one descriptor; entry names are
 * only compared, never opened, so a name that climbs out of the archive reaches nothing. Entities
 * are not declared, loaded or expanded. What an archive may unpack to is bounded in bytes, in ratio
 * and in entries.
 */
#pragma once

#include "extract/frame.h"
#include "extract/input.h"

/* As tome_text_read(), and ENCRYPTED, DAMAGED, UNSUPPORTED, NO_TEXT. `detail` (cleared by the
 * caller) gets a message where more is known than the failure's own sentence. */
enum tome_extract_failure tome_epub_read(struct tome_input *input, struct tome_frame_writer *writer,
                                         struct bh_error *detail);
