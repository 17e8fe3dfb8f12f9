/*
 * Text analysis: from text to the words of the index. The same for documents and queries and for
 * every database, so that what was indexed is what is looked up.
 *
 * A token is a run of letters and digits. Its form is what exact search sees: lower case, without
 * diacritics (ß → ss, æ → ae, and I, İ, ı, i all → i). Its stem is Snowball's in one language,
 * folded in the same way. Possessives and contractions lose their ending (Holmes's → holmes,
 * don't → dont), elisions and suffixes behind an apostrophe are words of their own (l'Étranger →
 * l, etranger; Ankara'da → ankara, da). Hyphens separate. Thousands lose their commas (1,000 →
 * 1000), decimals keep their point. Scripts without blanks give a token for each character.
 *
 * An analyzer holds stemmers and a cache of stems: one thread at a time.
 */
#pragma once

#include "bulkhead/base/error.h"
#include "library/language.h"

/* Bump when any text would give other forms or stems: the index then wants a rebuild. */
#define TOME_ANALYSIS_VERSION 2

/* The most bytes of a form or stem; longer words are cut there, between characters. */
#define TOME_FORM_MAX 64

struct tome_analyzer; /* opaque */

/* In the index a stem is written behind its language's letter and a point ("b.hous"), so that the
 * stems of different languages never meet, nor a stem and a form. */
#define TOME_STEM_TAG_SIZE 2
static inline void tome_stem_tag(const enum tome_language language,
                                 char ret_tag[TOME_STEM_TAG_SIZE])
{
    ret_tag[0] = (char)('a' + (int)language);
    ret_tag[1] = '.';
}

struct tome_token {
    size_t start, end;  /* byte range in the text */
    struct bh_str form; /* valid until the next token of this analyzer */
    bool ascii;         /* the source has only ASCII */
    bool joined; /* no blank or mark between this and the token before: a script without blanks */
};

int tome_analyzer_create(struct tome_analyzer **ret_analyzer) BH_MUST_CHECK;
/* NULL is fine. */
void tome_analyzer_destroy(struct tome_analyzer *analyzer);
BH_DEFINE_CLEANUP(struct tome_analyzer, tome_analyzer_destroy)

/* Starts on `text` (borrowed until the last token was read). Bytes that are not UTF-8 separate. */
void tome_analyzer_begin(struct tome_analyzer *analyzer, struct bh_str text);

/* The same, but words of ASCII letters alone whose first letter, made small, is not among
 * `first_letters` (one for each byte; borrowed likewise; NULL: all are) are passed over. */
void tome_analyzer_begin_some(struct tome_analyzer *analyzer, struct bh_str text,
                              const bool *first_letters);

/* The next token; false at the end. */
bool tome_analyzer_next(struct tome_analyzer *analyzer, struct tome_token *ret_token);

/* The stem of the token just read. Equal to its form for words that have none (NONE, digits).
 * Valid until the next call of this function. */
struct bh_str tome_analyzer_stem(struct tome_analyzer *analyzer, const struct tome_token *token,
                                 enum tome_language language);
