/* The package document of an EPUB: what the book is called and in which order it is read. One
 * thread at a time. */
#pragma once

#include "extract/document.h"
#include "extract/epub_xml.h"

struct tome_package {
    struct bh_str path;   /* of the package document in the archive */
    struct bh_str title;  /* may be empty, as the next three */
    struct bh_str author; /* creators, joined by ", " */
    struct bh_str language;
    struct bh_str tags;       /* subjects, joined by ", " */
    struct bh_str navigation; /* path of the EPUB 3 navigation document, or empty */
    struct bh_str ncx;        /* path of the EPUB 2 table of contents, or empty */
    struct bh_str *spine;     /* paths of the documents in reading order */
    size_t spine_count;
};

/* Everything in *ret_package lives in `arena`. BH_EUNSUPPORTED: the archive is no EPUB. BH_EACCESS:
 * documents of the spine are encrypted. BH_ECORRUPT, BH_ELIMIT, BH_ENOMEM. `reterr` gets a message
 * where more is known. */
int tome_package_read(struct tome_archive *archive, struct bh_arena *arena,
                      struct tome_package *ret_package, struct bh_error *reterr) BH_MUST_CHECK;
