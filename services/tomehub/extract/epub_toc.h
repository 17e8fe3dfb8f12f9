/* Where chapters and printed pages begin in an EPUB: its navigation document (EPUB 3), else its NCX
 * (EPUB 2). One thread at a time. */
#pragma once

#include "extract/epub_package.h"

enum tome_mark_kind { TOME_MARK_CHAPTER, TOME_MARK_PAGE };

/* A place in a document of the spine, and what begins there. */
struct tome_mark {
    struct tome_epub_target target; /* fragment "": the document's start */
    enum tome_mark_kind kind;
    struct bh_str name; /* the chapter's title or the page's label */
    size_t ordinal;     /* order in the table */
};

struct tome_toc {
    struct tome_mark *marks; /* by path, fragment, ordinal */
    size_t count;
    bool has_chapters;
    bool has_pages;
};

/* Everything in *ret_toc lives in `arena`. A table that is missing or broken gives an empty one.
 * BH_ELIMIT, BH_ENOMEM, BH_EUNSUPPORTED (it declares entities). */
int tome_toc_read(struct tome_archive *archive, struct bh_arena *arena,
                  const struct tome_package *package, struct tome_toc *ret_toc) BH_MUST_CHECK;

/* The first mark at this place, or NULL; those behind it in the array may be at the same place. */
const struct tome_mark *tome_toc_find(const struct tome_toc *toc, struct bh_str path,
                                      struct bh_str fragment);
