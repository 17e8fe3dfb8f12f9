/* The formats TomeHub reads, and the reasons why a file cannot be read. Any thread. */
#pragma once

#include "bulkhead/base/str.h"

enum tome_source {
    TOME_SOURCE_AUTO = 0, /* found by looking at the content, then at the name */
    TOME_SOURCE_EPUB,
    TOME_SOURCE_PDF,
    TOME_SOURCE_HTML,
    TOME_SOURCE_MARKDOWN,
    TOME_SOURCE_TEXT,
};

/* "auto", "epub", "pdf", "html", "markdown", "text". */
const char *tome_source_name(enum tome_source source);

/* BH_ENOTFOUND: no such name. */
int tome_source_parse(struct bh_str name, enum tome_source *ret_source) BH_MUST_CHECK;

/* X(name, text for machines, the sentence for people: cause and cure) */
#define TOME_EXTRACT_FAILURE_TABLE(X)                                                              \
    X(ENCRYPTED, "encrypted",                                                                      \
      "The file is encrypted or copy-protected; remove the protection and add it again.")          \
    X(DAMAGED, "damaged", "The file is damaged or cut short; get a whole copy and add it again.")  \
    X(EMPTY, "empty", "The file is empty; check that it was saved or copied completely.")          \
    X(UNSUPPORTED, "unsupported",                                                                  \
      "The file is not EPUB, PDF, HTML, Markdown or plain text; convert it to one of these.")      \
    X(TOO_LARGE, "too_large",                                                                      \
      "The file unpacks to more text than is accepted; split it into smaller files.")              \
    X(TIMED_OUT, "timed_out",                                                                      \
      "Reading the file took too long and was stopped; save it anew with another program, or "     \
      "split it.")                                                                                 \
    X(OUT_OF_MEMORY, "out_of_memory",                                                              \
      "Reading the file needs more memory than is allowed; save it anew with another program, "    \
      "or split it.")                                                                              \
    X(NO_TEXT, "no_text",                                                                          \
      "The file holds no text, only pictures; run text recognition (OCR) on it and add it again.") \
    X(CANCELED, "canceled", "Reading the file was canceled.")                                      \
    X(INTERRUPTED, "interrupted",                                                                  \
      "The extractor was killed from outside, by an operator or for want of memory; the file is "  \
      "fine to try again.")                                                                        \
    X(INTERNAL, "internal",                                                                        \
      "The extractor failed for a reason outside the file; the server's log tells more.")

enum tome_extract_failure {
    TOME_FAILURE_NONE = 0,
#define X(name, machine, text) TOME_FAILURE_##name,
    TOME_EXTRACT_FAILURE_TABLE(X)
#undef X
        TOME_FAILURE_COUNT,
};

/* "encrypted", …; "" for NONE. */
const char *tome_extract_failure_name(enum tome_extract_failure failure);

/* One plain sentence with cause and cure; "" for NONE. */
const char *tome_extract_failure_text(enum tome_extract_failure failure);

/* Whether the same file may well be read the next time: CANCELED, INTERRUPTED, INTERNAL. */
bool tome_extract_failure_is_temporary(enum tome_extract_failure failure);

/* The nearest BH_E code. */
int tome_extract_failure_code(enum tome_extract_failure failure);
