#include "extract/epub_package.h"

#include <stdlib.h>

#define CONTAINER "META-INF/container.xml"
#define ENCRYPTION "META-INF/encryption.xml"

struct item {
    struct bh_str id;
    struct bh_str path;
    bool is_document; /* XHTML or HTML */
    bool is_navigation;
};

struct manifest {
    struct item *items; /* by id */
    size_t count;
};

static struct bh_str copy(struct bh_arena *const arena, const struct bh_str text)
{
    const char *const data = bh_arena_strdup(arena, text);
    return data ? (struct bh_str){ .data = data, .size = text.size } : BH_STR_NONE;
}

/* --- container -------------------------------------------------------------------------------- */

static int find_package(struct tome_archive *const archive, struct bh_arena *const arena,
                        struct bh_str *const ret_path, struct bh_error *const reterr)
{
    xmlDocPtr document BH_CLEANUP(tome_epub_free_document_cleanup) = NULL;
    const int error = tome_epub_parse(archive, BH_STR(CONTAINER), &document);
    if (error == BH_ENOTFOUND)
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "The file is a ZIP archive but not an EPUB (it has no " CONTAINER
                            "); unpack it and add the books in it.");
    if (error)
        return error;
    xmlNode *const root = xmlDocGetRootElement(document);
    for (xmlNodePtr node = root; node; node = tome_epub_next(root, node)) {
        if (!tome_epub_is(node, "rootfile"))
            continue;
        struct tome_epub_target target;
        const int resolved = tome_epub_resolve(arena, BH_STR_NONE,
                                               tome_epub_attribute(node, "full-path"), &target);
        if (resolved == 0 && target.path.size > 0) {
            *ret_path = target.path;
            return 0;
        }
    }
    return bh_error_set(reterr, BH_ECORRUPT,
                        "The EPUB's " CONTAINER " names no package document; get a whole copy.");
}

/* --- manifest --------------------------------------------------------------------------------- */

static int compare_items(const void *const left, const void *const right)
{
    const struct item *const a = left;
    const struct item *const b = right;
    return bh_str_compare(a->id, b->id);
}

static const struct item *find_item(const struct manifest *const manifest, const struct bh_str id)
{
    const struct item wanted = { .id = id };
    return manifest->count == 0 ? NULL
                                : bsearch(&wanted, manifest->items, manifest->count,
                                          sizeof(*manifest->items), compare_items);
}

static size_t count_elements(const xmlNode *const root, const char *const name)
{
    size_t count = 0;
    for (xmlNodePtr node = root->children; node; node = tome_epub_next(root, node))
        count += tome_epub_is(node, name);
    return count;
}

static bool is_document(const struct bh_str type)
{
    return bh_str_equal_nocase(type, BH_STR("application/xhtml+xml")) ||
           bh_str_equal_nocase(type, BH_STR("text/html")) ||
           bh_str_equal_nocase(type, BH_STR("text/x-oeb1-document"));
}

static int read_manifest(const xmlNode *const root, struct bh_arena *const arena,
                         struct tome_package *const package, struct manifest *const ret_manifest)
{
    struct manifest manifest = { 0 };
    manifest.items = bh_arena_calloc(arena, count_elements(root, "item") + 1,
                                     sizeof(*manifest.items));
    if (!manifest.items)
        return BH_ENOMEM;
    for (xmlNodePtr node = root->children; node; node = tome_epub_next(root, node)) {
        struct tome_epub_target target;
        if (!tome_epub_is(node, "item"))
            continue;
        const int error = tome_epub_resolve(arena, package->path, tome_epub_attribute(node, "href"),
                                            &target);
        if (error == BH_ENOMEM)
            return error;
        if (error)
            continue; /* outside of the archive: not ours to read */
        const struct bh_str type = tome_epub_attribute(node, "media-type");
        const struct item item = {
            .id = copy(arena, tome_epub_attribute(node, "id")),
            .path = target.path,
            .is_document = is_document(type),
            .is_navigation = tome_epub_has_word(tome_epub_attribute(node, "properties"), "nav"),
        };
        if (item.is_navigation && package->navigation.size == 0)
            package->navigation = item.path;
        if (bh_str_equal(type, BH_STR("application/x-dtbncx+xml")) && package->ncx.size == 0)
            package->ncx = item.path;
        manifest.items[manifest.count++] = item;
    }
    qsort(manifest.items, manifest.count, sizeof(*manifest.items), compare_items);
    *ret_manifest = manifest;
    return 0;
}

/* --- spine ------------------------------------------------------------------------------------ */

static void add_to_spine(const xmlNode *const root, const struct manifest *const manifest,
                         struct tome_package *const package, const bool linear_only)
{
    for (xmlNodePtr node = root->children; node; node = tome_epub_next(root, node)) {
        if (!tome_epub_is(node, "itemref"))
            continue;
        if (linear_only && bh_str_equal(tome_epub_attribute(node, "linear"), BH_STR("no")))
            continue;
        const struct item *const item = find_item(manifest, tome_epub_attribute(node, "idref"));
        if (item && item->is_document && !item->is_navigation)
            package->spine[package->spine_count++] = item->path;
    }
}

static int read_spine(const xmlNode *const root, struct bh_arena *const arena,
                      const struct manifest *const manifest, struct tome_package *const package)
{
    package->spine = bh_arena_calloc(arena, count_elements(root, "itemref") + 1,
                                     sizeof(*package->spine));
    if (!package->spine)
        return BH_ENOMEM;
    add_to_spine(root, manifest, package, true);
    /* A book that says all of it is beside the reading order is still a book. */
    if (package->spine_count == 0)
        add_to_spine(root, manifest, package, false);
    return 0;
}

/* --- metadata --------------------------------------------------------------------------------- */

/* All elements of this name, joined by ", ". */
static int read_names(const xmlNode *const root, const char *const name, const bool first_only,
                      struct bh_arena *const arena, struct bh_str *const ret_text)
{
    struct bh_buf text BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&text, TOME_FRAME_VALUE_MAX * 2);
    for (xmlNodePtr node = root->children; node; node = tome_epub_next(root, node)) {
        if (!tome_epub_is(node, name))
            continue;
        if (text.size > 0 && text.size + 2 < text.maximum)
            bh_buf_append_str(&text, BH_STR(", "));
        tome_epub_append_text(node, &text);
        if (first_only)
            break;
    }
    *ret_text = copy(arena, bh_buf_peek(&text));
    return bh_buf_error(&text);
}

static int read_metadata(const xmlNode *const root, struct bh_arena *const arena,
                         struct tome_package *const package)
{
    int error = read_names(root, "title", true, arena, &package->title);
    if (!error)
        error = read_names(root, "creator", false, arena, &package->author);
    if (!error)
        error = read_names(root, "language", true, arena, &package->language);
    if (!error)
        error = read_names(root, "subject", false, arena, &package->tags);
    return error;
}

/* --- encryption ------------------------------------------------------------------------------- */

static bool is_font_obfuscation(const struct bh_str algorithm)
{
    return bh_str_equal(algorithm, BH_STR("http://www.idpf.org/2008/embedding")) ||
           bh_str_equal(algorithm, BH_STR("http://ns.adobe.com/pdf/enc#RC"));
}

static bool is_in_spine(const struct tome_package *const package, const struct bh_str path)
{
    for (size_t i = 0; i < package->spine_count; i++) {
        if (bh_str_equal(package->spine[i], path))
            return true;
    }
    return false;
}

/* Whether one EncryptedData covers a document of the spine. */
static bool covers_spine(const xmlNode *const data, struct bh_arena *const arena,
                         const struct tome_package *const package)
{
    bool covered = false;
    for (xmlNodePtr node = data->children; node; node = tome_epub_next(data, node)) {
        struct tome_epub_target target;
        if (tome_epub_is(node, "EncryptionMethod") &&
            is_font_obfuscation(tome_epub_attribute(node, "Algorithm")))
            return false;
        if (tome_epub_is(node, "CipherReference") &&
            tome_epub_resolve(arena, BH_STR_NONE, tome_epub_attribute(node, "URI"), &target) == 0)
            covered = covered || is_in_spine(package, target.path);
    }
    return covered;
}

static int check_encryption(struct tome_archive *const archive, struct bh_arena *const arena,
                            const struct tome_package *const package)
{
    xmlDocPtr document BH_CLEANUP(tome_epub_free_document_cleanup) = NULL;
    const int error = tome_epub_parse(archive, BH_STR(ENCRYPTION), &document);
    if (error == BH_ENOTFOUND)
        return 0;
    if (error)
        return error;
    xmlNode *const root = xmlDocGetRootElement(document);
    for (xmlNodePtr node = root; node; node = tome_epub_next(root, node)) {
        if (tome_epub_is(node, "EncryptedData") && covers_spine(node, arena, package))
            return BH_EACCESS;
    }
    return 0;
}

int tome_package_read(struct tome_archive *const archive, struct bh_arena *const arena,
                      struct tome_package *const ret_package, struct bh_error *const reterr)
{
    struct tome_package package = { 0 };
    xmlDocPtr document BH_CLEANUP(tome_epub_free_document_cleanup) = NULL;
    struct manifest manifest;
    int error = find_package(archive, arena, &package.path, reterr);
    if (error)
        return error;
    error = tome_epub_parse(archive, package.path, &document);
    if (error)
        return error == BH_ENOTFOUND ? BH_ECORRUPT : error;
    const xmlNode *const root = xmlDocGetRootElement(document);
    error = read_manifest(root, arena, &package, &manifest);
    if (!error)
        error = read_spine(root, arena, &manifest, &package);
    if (!error)
        error = read_metadata(root, arena, &package);
    if (!error)
        error = check_encryption(archive, arena, &package);
    if (!error && package.spine_count == 0)
        error = bh_error_set(reterr, BH_ECORRUPT,
                             "The EPUB's spine names no document to read; get a whole copy.");
    if (!error)
        *ret_package = package;
    return error;
}
