/*
 * From the bytes of a file to UTF-8, streaming.
 *
 * The encoding is that of a byte order mark; else the one the file declares, if it is known; else
 * UTF-8 if the first bytes above 0x7F are; else what their statistics say (ICU's detector, for the
 * encodings of the ISO 8859, Windows and East Asian families), else Windows-1252, the superset of
 * Latin-1. In UTF-8 a stray byte is read as Windows-1252.
 *
 * Everything ICU needs is inside its library: nothing is opened. One thread at a time.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

struct tome_decoder; /* opaque */

/* `declared`: the name of an encoding, or empty. */
int tome_decoder_create(struct bh_str declared, struct tome_decoder **ret_decoder) BH_MUST_CHECK;
void tome_decoder_destroy(struct tome_decoder *decoder);
BH_DEFINE_CLEANUP(struct tome_decoder, tome_decoder_destroy)

/* Appends what `bytes` decode to; an unfinished sequence at their end waits for the next call.
 * `last`: no bytes follow. Guessing works best when the first call has 16 KiB or more.
 * BH_ENOMEM, BH_ELIMIT (`out` is full). */
int tome_decoder_push(struct tome_decoder *decoder, struct bh_str bytes, bool last,
                      struct bh_buf *out) BH_MUST_CHECK;

/* The encoding that HTML or XML declares in its first bytes (XML declaration, <meta charset>,
 * http-equiv); empty if there is none. Borrowed from `head`. */
struct bh_str tome_declared_charset(struct bh_str head);
