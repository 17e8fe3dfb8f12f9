/*
 * Statements by their shape: the text without its constants, and a number that statements of one
 * shape share. Both are of the programme's texts; parameters never come here.
 *
 * Two readers. PostgreSQL's own grammar (libpg_query) sees through spelling and lists of any
 * length, but its memory and stack grow with the text: it is for the table of statements, read once
 * at open. The plain one knows only tokens, takes whatever it is given in one pass, and needs no
 * stack to speak of: for SQLite, whose texts mean something else to PostgreSQL's grammar, for texts
 * that grammar refuses, and for all that turns up later, in a fiber.
 *
 * Any thread.
 */
#pragma once

#include <stdint.h>

#include "bulkhead/base/macro.h"

/* Bytes of the normalised text that are kept; a longer one ends in "…". */
#define BH_FINGERPRINT_TEXT_MAX 1000
#define BH_FINGERPRINT_TEXT_SIZE (BH_FINGERPRINT_TEXT_MAX + sizeof("…"))

struct bh_fingerprint {
    uint64_t id;
    char text[BH_FINGERPRINT_TEXT_SIZE]; /* one line; constants stand as ? (PostgreSQL: $n) */
};

/* `text`: terminated, any bytes. Constants become "?", runs of them between commas "?, …"; blanks
 * and comments become one blank. The id does not depend on blanks, comments or the case of names
 * outside of quotes. */
void bh_fingerprint_plain(const char *text, struct bh_fingerprint *ret_fingerprint);

/* By PostgreSQL's grammar, by the plain reader where that refuses the text. Not from a fiber: deep
 * expressions take stack. */
void bh_fingerprint_postgres(const char *text, struct bh_fingerprint *ret_fingerprint);
