/*
 * What every reader writes to: text, line breaks, paragraphs, chapters and pages go in; PAGE frames
 * with clean text come out, one page in memory.
 *
 * Model: a reader says what it meets in the file; the document decides what becomes of it. Blanks
 * are collapsed, and separators are written only in front of text that follows, so a page neither
 * begins nor ends with one. Where the file has no pages, stable ones ("sections") of about 1,800
 * characters are made: cut at the end of a paragraph if there is one between 1,200 and 1,800
 * characters, else of a sentence, else of a word. A chapter begins a new section when the current
 * one is at least a third full.
 *
 * Errors stay: call tome_document_error() now and then, and stop when it is not 0. One thread.
 */
#pragma once

#include "extract/frame.h"

#define TOME_SECTION_CHARACTERS 1800
#define TOME_SECTION_CHARACTERS_MIN 1200

enum tome_page_kind {
    TOME_PAGES_REAL,     /* "page": the file's own pages, 1…n */
    TOME_PAGES_LIST,     /* "list": an EPUB's page list, with labels */
    TOME_PAGES_SECTIONS, /* "section" */
};

struct tome_document; /* opaque */

/* `writer` is borrowed. `kind` is written as META at once. BH_ENOMEM. */
int tome_document_create(struct tome_frame_writer *writer, enum tome_page_kind kind,
                         struct tome_document **ret_document) BH_MUST_CHECK;
void tome_document_destroy(struct tome_document *document);
BH_DEFINE_CLEANUP(struct tome_document, tome_document_destroy)

/* A fact about the file, cleaned and cut to fit; an empty one, or a second for the same key, is
 * ignored. */
void tome_document_meta(struct tome_document *document, enum tome_meta_key key,
                        struct bh_str value);

/* Text inside a paragraph, in whole code points; bytes that are not UTF-8 become U+FFFD. Blanks
 * and line feeds in it are one space. */
void tome_document_text(struct tome_document *document, struct bh_str text);

/* The same, but line feeds and indentation are kept, and an empty line ends the paragraph. */
void tome_document_verbatim(struct tome_document *document, struct bh_str text);

void tome_document_line_break(struct tome_document *document);
void tome_document_end_paragraph(struct tome_document *document);

/* What follows belongs to this chapter; ends the paragraph. */
void tome_document_chapter(struct tome_document *document, struct bh_str title);

/* The next page begins (not for sections). Text before the first call of a page list is on a page
 * labelled "front". */
void tome_document_page(struct tome_document *document, struct bh_str label);

/* How much of the file has been read. */
void tome_document_progress(struct tome_document *document, uint64_t done, uint64_t total);

/* Writes out the last page. */
void tome_document_finish(struct tome_document *document);

/* Whether there was any text. */
bool tome_document_has_text(const struct tome_document *document);

/* 0, or the first of BH_ELIMIT (too much text), BH_ENOMEM, BH_EIO (the parent is gone). */
int tome_document_error(const struct tome_document *document);
