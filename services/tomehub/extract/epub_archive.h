/*
 * The ZIP archive of an EPUB: entries by name, one at a time, through libarchive.
 *
 * Bounds: 20,000 entries; in all (reading an entry twice counts twice) 16 MiB plus 200 bytes for
 * each byte of the file, and never more than 2 GiB. Names that are absolute or climb out of the
 * archive are ignored, of entries with one name the first counts. One thread at a time.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "extract/input.h"

struct tome_archive; /* opaque */

/* `input`: the file, borrowed; it must be able to go back (tome_input_file, tome_input_memory).
 * BH_ECORRUPT: no ZIP archive that can be read. BH_ELIMIT, BH_ENOMEM. */
int tome_archive_open(struct tome_input *input, struct tome_archive **ret_archive) BH_MUST_CHECK;
void tome_archive_close(struct tome_archive *archive);
BH_DEFINE_CLEANUP(struct tome_archive, tome_archive_close)

/* Begins an entry: *ret_input gives its bytes until the archive's next call.
 * BH_ENOTFOUND. BH_EACCESS: it is encrypted. BH_ECORRUPT. Reading gives BH_ECORRUPT for broken
 * data and BH_ELIMIT past the bounds above. */
int tome_archive_entry(struct tome_archive *archive, struct bh_str path,
                       struct tome_input *ret_input) BH_MUST_CHECK;

/* Appends a whole entry to `out`. As above; BH_ELIMIT also when `out` is full. */
int tome_archive_load(struct tome_archive *archive, struct bh_str path,
                      struct bh_buf *out) BH_MUST_CHECK;
