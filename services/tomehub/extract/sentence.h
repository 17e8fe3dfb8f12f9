/*
 * Where words and sentences end: a scan of bytes, no dictionary but a table of abbreviations.
 *
 * A word is a run of bytes without ASCII blanks; scripts that write without blanks are also cut
 * behind their full stops (。！？). A sentence ends behind a word with a full stop, exclamation or
 * question mark or ellipsis (closing quotes and brackets may follow) unless what follows begins
 * with a lower-case letter, or the stop belongs to an abbreviation ("Dr."), an initial ("J."), an
 * ordinal ("3. März") or a dotted form ("e.g.").
 *
 * Pure, any thread. Text is UTF-8.
 */
#pragma once

#include "bulkhead/base/str.h"

static inline bool tome_is_blank(const char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Without the blanks at both ends. */
struct bh_str tome_trim(struct bh_str text);

/* End of the word that begins at `begin` (< text.size). */
size_t tome_word_end(struct bh_str text, size_t begin);

/* First byte from `begin` on that is no blank, or text.size. */
size_t tome_blanks_end(struct bh_str text, size_t begin);

/* Whether a sentence ends between `word` and `next`, the text behind it (its first letter counts;
 * without one the answer is as for a capital). */
bool tome_sentence_ends(struct bh_str word, struct bh_str next);

/* Whether the first letter of `text`, behind quotes, brackets and dashes, is a small one. */
bool tome_begins_small(struct bh_str text);
