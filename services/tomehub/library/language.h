/*
 * The languages TomeHub knows: for each a Snowball stemmer and its commonest words. The commonest
 * words tell a text's language, and are never required of a hit.
 * Tables only, no state; any thread.
 */
#pragma once

#include "bulkhead/base/str.h"

enum tome_language {
    TOME_LANGUAGE_NONE, /* unknown: words are not stemmed */
    TOME_LANGUAGE_ENGLISH,
    TOME_LANGUAGE_TURKISH,
    TOME_LANGUAGE_GERMAN,
    TOME_LANGUAGE_FRENCH,
    TOME_LANGUAGE_SPANISH,
    TOME_LANGUAGE_ITALIAN,
    TOME_LANGUAGE_PORTUGUESE,
    TOME_LANGUAGE_DUTCH,
    TOME_LANGUAGE_SWEDISH,
    TOME_LANGUAGE_DANISH,
    TOME_LANGUAGE_NORWEGIAN,
    TOME_LANGUAGE_FINNISH,
    TOME_LANGUAGE_HUNGARIAN,
    TOME_LANGUAGE_ROMANIAN,
    TOME_LANGUAGE_RUSSIAN,
    TOME_LANGUAGE_COUNT
};

/* From a code such as "en", "eng", "en-GB" (case does not matter); NONE if unknown. */
enum tome_language tome_language_from_code(struct bh_str code);

/* The two-letter code ("en"), "" for NONE. Static. */
const char *tome_language_code(enum tome_language language);

/* libstemmer's name of the stemmer ("english"), NULL for NONE. */
const char *tome_language_stemmer(enum tome_language language);

/* The language of a text, by how many of its words are a language's commonest; NONE when too few
 * are or two languages are too close. Looks at the first 64 KiB at most. `text`: UTF-8. */
enum tome_language tome_language_detect(struct bh_str text);

/* Whether `form` (folded, see analysis.h) is one of the language's commonest words. */
bool tome_language_is_stop_word(enum tome_language language, struct bh_str form);
