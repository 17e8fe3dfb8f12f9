/*
 * From lines to paragraphs: what plain text and the text of a PDF have in common.
 *
 * Lines of a paragraph are joined by a blank; a word hyphenated at the end of a line is put
 * together again ("exam-" "ple"); a line much shorter than a printed one keeps its line break
 * (verse, addresses, tables). An empty line ends the paragraph. Lines come one at a time, so
 * nothing but the end of the last one is remembered. One thread at a time.
 */
#pragma once

#include "extract/document.h"

struct tome_reflow {
    struct tome_document *document; /* private: borrowed */
    bool hyphen;                    /* private: the last line ended in a letter and a hyphen */
    bool open;                      /* private: a paragraph has begun */
    bool short_line;                /* private: the last line was a short one */
    bool inside_line;               /* private: a piece of a line has come, its end has not */
};

void tome_reflow_init(struct tome_reflow *reflow, struct tome_document *document);

/* A line without its line feed, UTF-8. */
void tome_reflow_line(struct tome_reflow *reflow, struct bh_str line);

/* The beginning or middle of a line too long to hold; its end comes by tome_reflow_line(). */
void tome_reflow_piece(struct tome_reflow *reflow, struct bh_str piece);

void tome_reflow_end_paragraph(struct tome_reflow *reflow);
