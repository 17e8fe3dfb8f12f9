#include "extract/epub.h"

#include <stdlib.h>

#include "extract/epub_toc.h"
#include "extract/html.h"
#include "extract/text.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define PROBE_BYTES (64u * 1024)

struct epub {
    struct tome_archive *archive;
    struct bh_arena *arena;
    struct tome_package package;
    struct tome_toc toc;
    struct tome_document *document;
    bool inline_pages;  /* printed pages are marked in the text, not listed */
    struct bh_str path; /* of the document being read */
};

/* --- inline page breaks ----------------------------------------------------------------------- */

static const struct bh_str page_break_marks[] = {
    { "epub:type=\"pagebreak", 20 },
    { "epub:type='pagebreak", 20 },
    { "doc-pagebreak", 13 },
};

/* The longest mark less one byte is kept from step to step. */
#define PROBE_OVERLAP 19u

static int probe_document(struct tome_input *const input, char *const bytes, bool *const ret_found)
{
    size_t kept = 0;
    for (;;) {
        size_t size;
        const int error = tome_input_read(input, bytes + kept, PROBE_BYTES - kept, &size);
        if (error)
            return error;
        const size_t filled = kept + size;
        for (size_t i = 0; i < BH_COUNT_OF(page_break_marks); i++) {
            if (memmem(bytes, filled, page_break_marks[i].data, page_break_marks[i].size)) {
                *ret_found = true;
                return 0;
            }
        }
        if (filled < PROBE_BYTES)
            return 0;
        kept = PROBE_OVERLAP;
        memmove(bytes, bytes + filled - kept, kept);
    }
}

/* A book may mark its printed pages in the text without listing them. */
static int has_inline_breaks(struct epub *const epub, bool *const ret_found)
{
    char *const bytes = malloc(PROBE_BYTES);
    int error = bytes ? 0 : BH_ENOMEM;
    bool found = false;
    for (size_t i = 0; i < epub->package.spine_count && !error && !found; i++) {
        struct tome_input input;
        error = tome_archive_entry(epub->archive, epub->package.spine[i], &input);
        if (error == BH_ENOTFOUND)
            error = 0;
        else if (!error)
            error = probe_document(&input, bytes, &found);
    }
    free(bytes);
    *ret_found = found;
    return error;
}

/* --- text ------------------------------------------------------------------------------------- */

static void reach(const struct epub *const epub, const struct bh_str fragment)
{
    const struct tome_toc *const toc = &epub->toc;
    const struct tome_mark *mark = tome_toc_find(toc, epub->path, fragment);
    for (; mark && mark < toc->marks + toc->count; mark++) {
        if (!bh_str_equal(mark->target.path, epub->path) ||
            !bh_str_equal(mark->target.fragment, fragment))
            break;
        if (mark->kind == TOME_MARK_PAGE)
            tome_document_page(epub->document, mark->name);
        else
            tome_document_chapter(epub->document, mark->name);
    }
}

static void on_anchor(void *const argument, const struct bh_str id)
{
    const struct epub *const epub = argument;
    reach(epub, id);
}

static int read_document(struct epub *const epub, const struct bh_str path)
{
    struct tome_input input;
    const int error = tome_archive_entry(epub->archive, path, &input);
    if (error == BH_ENOTFOUND)
        return 0; /* the manifest promises more than there is: read the rest */
    if (error)
        return error;
    const struct tome_html_options options = {
        .headings_are_chapters = !epub->toc.has_chapters,
        .page_breaks = epub->inline_pages,
        .on_anchor = on_anchor,
        .argument = epub,
    };
    epub->path = path;
    reach(epub, BH_STR_NONE);
    return tome_html_parse(&input, epub->document, &options);
}

static int read_spine(struct epub *const epub, struct tome_frame_writer *const writer)
{
    int error = epub->toc.has_pages ? 0 : has_inline_breaks(epub, &epub->inline_pages);
    const bool paginated = epub->toc.has_pages || epub->inline_pages;
    if (!error)
        error = tome_document_create(writer, paginated ? TOME_PAGES_LIST : TOME_PAGES_SECTIONS,
                                     &epub->document);
    if (error)
        return error;
    const struct tome_package *const package = &epub->package;
    tome_document_meta(epub->document, TOME_META_TITLE, package->title);
    tome_document_meta(epub->document, TOME_META_AUTHOR, package->author);
    tome_document_meta(epub->document, TOME_META_LANGUAGE, package->language);
    tome_document_meta(epub->document, TOME_META_TAGS, package->tags);
    for (size_t i = 0; i < package->spine_count && !error; i++) {
        error = read_document(epub, package->spine[i]);
        tome_document_progress(epub->document, i + 1, package->spine_count);
    }
    if (error)
        return error;
    tome_document_finish(epub->document);
    return tome_document_error(epub->document);
}

static enum tome_extract_failure explain(const int error, struct bh_error *const detail)
{
    if (detail->message[0] != '\0')
        return error == BH_EUNSUPPORTED ? TOME_FAILURE_UNSUPPORTED : TOME_FAILURE_DAMAGED;
    if (error == BH_EACCESS)
        return TOME_FAILURE_ENCRYPTED;
    if (error == BH_EUNSUPPORTED) {
        bh_error_set(detail, error,
                     "The EPUB's package declares XML entities, which no book needs and which can "
                     "be used to attack its reader; save it anew with another program.");
        return TOME_FAILURE_DAMAGED;
    }
    return tome_failure_of(error);
}

enum tome_extract_failure tome_epub_read(struct tome_input *const input,
                                         struct tome_frame_writer *const writer,
                                         struct bh_error *const detail)
{
    struct epub epub = { 0 };
    struct tome_archive *archive BH_CLEANUP(tome_archive_close_cleanup) = NULL;
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    int error = bh_arena_create(ARENA_BYTES_MAX, &arena);
    if (!error)
        error = tome_archive_open(input, &archive);
    if (error)
        return tome_failure_of(error);
    epub.archive = archive;
    epub.arena = arena;
    error = tome_package_read(archive, arena, &epub.package, detail);
    if (!error)
        error = tome_toc_read(archive, arena, &epub.package, &epub.toc);
    if (!error)
        error = read_spine(&epub, writer);
    const bool has_text = epub.document && tome_document_has_text(epub.document);
    tome_document_destroy(epub.document);
    if (error)
        return explain(error, detail);
    return has_text ? TOME_FAILURE_NONE : TOME_FAILURE_NO_TEXT;
}
