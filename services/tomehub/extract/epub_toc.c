#include "extract/epub_toc.h"

#include <stdlib.h>

#define MARKS_MAX 100000u
#define DEPTH_MAX 32u

struct builder {
    struct bh_arena *arena;
    struct bh_str base; /* path of the table: references are relative to it */
    struct tome_toc toc;
    size_t capacity;
    int error;
};

/* The tree is gone before the marks are. */
static struct bh_str keep(struct builder *const builder, const struct bh_str text)
{
    const struct bh_str trimmed = bh_str_trim(text);
    const char *const copy = bh_arena_strdup(builder->arena, trimmed);
    if (!copy) {
        builder->error = BH_ENOMEM;
        return BH_STR_NONE;
    }
    return (struct bh_str){ .data = copy, .size = trimmed.size };
}

static struct bh_str text_of(struct builder *const builder, const xmlNode *const node)
{
    struct bh_buf text BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&text, TOME_FRAME_CHAPTER_MAX * 2);
    tome_epub_append_text(node, &text);
    return keep(builder, bh_buf_peek(&text));
}

/* "IV", "4.", "12": says nothing without the entry above it. */
static bool is_bare_number(const struct bh_str title)
{
    bool digits = true;
    bool roman = true;
    for (size_t i = 0; i < title.size; i++) {
        const char byte = title.data[i];
        if (byte == '.' || byte == ' ')
            continue;
        digits = digits && byte >= '0' && byte <= '9';
        roman = roman && memchr("IVXLCivxlc", byte, 10);
    }
    return digits || roman;
}

static void add_mark(struct builder *const builder, const enum tome_mark_kind kind,
                     const struct bh_str reference, const struct bh_str name)
{
    struct tome_toc *const toc = &builder->toc;
    if (toc->count == MARKS_MAX)
        builder->error = BH_ELIMIT;
    if (builder->error || reference.size == 0)
        return;
    if (toc->count == builder->capacity) {
        const size_t capacity = builder->capacity == 0 ? 64 : builder->capacity * 2;
        struct tome_mark *const marks = bh_arena_calloc(builder->arena, capacity, sizeof(*marks));
        if (!marks) {
            builder->error = BH_ENOMEM;
            return;
        }
        if (toc->count > 0)
            memcpy(marks, toc->marks, toc->count * sizeof(*marks));
        toc->marks = marks;
        builder->capacity = capacity;
    }
    struct tome_mark mark = { .kind = kind, .name = name, .ordinal = toc->count };
    const int error = tome_epub_resolve(builder->arena, builder->base, reference, &mark.target);
    if (error == BH_ENOMEM)
        builder->error = error;
    if (error)
        return;
    toc->marks[toc->count++] = mark;
    toc->has_chapters = toc->has_chapters || kind == TOME_MARK_CHAPTER;
    toc->has_pages = toc->has_pages || kind == TOME_MARK_PAGE;
}

static void add_chapter(struct builder *const builder, const struct bh_str reference,
                        const struct bh_str title, const unsigned depth)
{
    if (title.size > 0 && !(depth > 1 && is_bare_number(title)))
        add_mark(builder, TOME_MARK_CHAPTER, reference, title);
}

/* --- EPUB 3 ----------------------------------------------------------------------------------- */

static unsigned list_depth(const xmlNode *const root, const xmlNode *node)
{
    unsigned depth = 0;
    for (; node && node != root; node = node->parent)
        depth += tome_epub_is(node, "ol");
    return depth;
}

static void read_nav(struct builder *const builder, const xmlNode *const nav,
                     const enum tome_mark_kind kind)
{
    for (xmlNodePtr node = nav->children; node; node = tome_epub_next(nav, node)) {
        if (!tome_epub_is(node, "a"))
            continue;
        const struct bh_str reference = tome_epub_attribute(node, "href");
        const struct bh_str name = text_of(builder, node);
        if (kind == TOME_MARK_CHAPTER)
            add_chapter(builder, reference, name, list_depth(nav, node));
        else
            add_mark(builder, kind, reference, name);
    }
}

static void read_navigation(struct builder *const builder, const xmlNode *const root)
{
    for (xmlNodePtr node = root->children; node; node = tome_epub_next(root, node)) {
        if (!tome_epub_is(node, "nav"))
            continue;
        const struct bh_str type = tome_epub_attribute(node, "type");
        if (tome_epub_has_word(type, "toc"))
            read_nav(builder, node, TOME_MARK_CHAPTER);
        else if (tome_epub_has_word(type, "page-list"))
            read_nav(builder, node, TOME_MARK_PAGE);
    }
}

/* --- EPUB 2 ----------------------------------------------------------------------------------- */

static const xmlNode *child_of(const xmlNode *const node, const char *const name)
{
    for (const xmlNode *child = node->children; child; child = child->next) {
        if (tome_epub_is(child, name))
            return child;
    }
    return NULL;
}

static unsigned point_depth(const xmlNode *node)
{
    unsigned depth = 0;
    for (; node && depth < DEPTH_MAX; node = node->parent)
        depth += tome_epub_is(node, "navPoint");
    return depth;
}

static void read_ncx(struct builder *const builder, const xmlNode *const root)
{
    for (xmlNodePtr node = root->children; node; node = tome_epub_next(root, node)) {
        const bool is_point = tome_epub_is(node, "navPoint");
        if (!is_point && !tome_epub_is(node, "pageTarget"))
            continue;
        const xmlNode *const content = child_of(node, "content");
        const xmlNode *const label = child_of(node, "navLabel");
        if (!content)
            continue;
        const struct bh_str reference = tome_epub_attribute(content, "src");
        const struct bh_str name = label ? text_of(builder, label) : BH_STR_NONE;
        if (is_point)
            add_chapter(builder, reference, name, point_depth(node));
        else
            add_mark(builder, TOME_MARK_PAGE, reference,
                     name.size > 0 ? name : keep(builder, tome_epub_attribute(node, "value")));
    }
}

/* --- both ------------------------------------------------------------------------------------- */

static int compare_place(const struct tome_mark *const a, const struct bh_str path,
                         const struct bh_str fragment)
{
    const int order = bh_str_compare(a->target.path, path);
    return order != 0 ? order : bh_str_compare(a->target.fragment, fragment);
}

static int compare_marks(const void *const left, const void *const right)
{
    const struct tome_mark *const a = left;
    const struct tome_mark *const b = right;
    const int order = compare_place(a, b->target.path, b->target.fragment);
    return order != 0 ? order : (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

const struct tome_mark *tome_toc_find(const struct tome_toc *const toc, const struct bh_str path,
                                      const struct bh_str fragment)
{
    size_t low = 0;
    size_t high = toc->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (compare_place(&toc->marks[middle], path, fragment) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == toc->count || compare_place(&toc->marks[low], path, fragment) != 0)
        return NULL;
    return &toc->marks[low];
}

static int read_table(struct builder *const builder, struct tome_archive *const archive,
                      const struct bh_str path,
                      void (*const read)(struct builder *builder, const xmlNode *root))
{
    xmlDocPtr document BH_CLEANUP(tome_epub_free_document_cleanup) = NULL;
    if (path.size == 0)
        return 0;
    const int error = tome_epub_parse(archive, path, &document);
    if (error == BH_ENOTFOUND || error == BH_ECORRUPT || error == BH_EACCESS)
        return 0; /* chapters are then found by headings */
    if (error)
        return error;
    builder->base = path;
    read(builder, xmlDocGetRootElement(document));
    return builder->error;
}

int tome_toc_read(struct tome_archive *const archive, struct bh_arena *const arena,
                  const struct tome_package *const package, struct tome_toc *const ret_toc)
{
    struct builder builder = { .arena = arena };
    int error = read_table(&builder, archive, package->navigation, read_navigation);
    if (!error && !builder.toc.has_chapters && !builder.toc.has_pages)
        error = read_table(&builder, archive, package->ncx, read_ncx);
    if (error)
        return error;
    if (builder.toc.count > 0)
        qsort(builder.toc.marks, builder.toc.count, sizeof(*builder.toc.marks), compare_marks);
    *ret_toc = builder.toc;
    return 0;
}
