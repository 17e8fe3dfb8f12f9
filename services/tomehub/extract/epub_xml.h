/*
 * The package's XML: small trees, parsed by libxml2 without network, DTD or entities, and paths
 * inside the archive. A document that declares entities is refused: no package needs them, and
 * they are how XML is turned against its readers. One thread at a time.
 */
#pragma once

#include <libxml/tree.h>

#include "bulkhead/base/arena.h"
#include "bulkhead/base/buf.h"
#include "extract/epub_archive.h"

#define TOME_EPUB_XML_MAX (8u << 20)

/* Loads and parses an entry. BH_ENOTFOUND, BH_EACCESS (encrypted), BH_ELIMIT, BH_ENOMEM,
 * BH_ECORRUPT (not XML), BH_EUNSUPPORTED (declares entities). *ret_document: xmlFreeDoc(). */
int tome_epub_parse(struct tome_archive *archive, struct bh_str path,
                    xmlDocPtr *ret_document) BH_MUST_CHECK;

static inline void tome_epub_free_document_cleanup(xmlDocPtr *const document)
{
    if (*document)
        xmlFreeDoc(*document);
}

/* The node behind `node` in document order below `root`, or NULL. */
xmlNodePtr tome_epub_next(const xmlNode *root, xmlNodePtr node);

/* The same, leaving out what is below `node`. */
xmlNodePtr tome_epub_skip(const xmlNode *root, xmlNodePtr node);

/* Whether it is an element of this local name. */
bool tome_epub_is(const xmlNode *node, const char *name);

/* The attribute of this local name, borrowed from the tree; empty if there is none. */
struct bh_str tome_epub_attribute(const xmlNode *node, const char *name);

/* Appends the text below `node`; stops silently when `out` is full. */
void tome_epub_append_text(const xmlNode *node, struct bh_buf *out);

/* Whether `word` is one of the blank-separated words of `list`. */
bool tome_epub_has_word(struct bh_str list, const char *word);

/* A reference resolved: a path in the archive, and what stood behind "#". */
struct tome_epub_target {
    struct bh_str path;
    struct bh_str fragment;
};

/* Resolves `reference` as found in the entry `base`: percent-decoded, without "." and "..".
 * BH_EINVAL: it leaves the archive (another host, or above the top). BH_ENOMEM. */
int tome_epub_resolve(struct bh_arena *arena, struct bh_str base, struct bh_str reference,
                      struct tome_epub_target *ret_target) BH_MUST_CHECK;
