#include "extract/epub_xml.h"

#include <libxml/parser.h>

int tome_epub_parse(struct tome_archive *const archive, const struct bh_str path,
                    xmlDocPtr *const ret_document)
{
    struct bh_buf bytes BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&bytes, TOME_EPUB_XML_MAX);
    const int error = tome_archive_load(archive, path, &bytes);
    if (error)
        return error;
    if (bytes.size == 0)
        return BH_ECORRUPT;
    if (memmem(bytes.data, bytes.size, "<!ENTITY", 8))
        return BH_EUNSUPPORTED;
    xmlDocPtr document = xmlReadMemory(bytes.data, (int)bytes.size, NULL, NULL,
                                       XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                           XML_PARSE_NONET | XML_PARSE_COMPACT);
    if (!document)
        return BH_ECORRUPT;
    if (!xmlDocGetRootElement(document)) {
        xmlFreeDoc(document);
        return BH_ECORRUPT;
    }
    *ret_document = document;
    return 0;
}

/* --- trees ------------------------------------------------------------------------------------ */

xmlNodePtr tome_epub_skip(const xmlNode *const root, xmlNodePtr node)
{
    while (node && node != root && !node->next)
        node = node->parent;
    return node && node != root ? node->next : NULL;
}

xmlNodePtr tome_epub_next(const xmlNode *const root, xmlNodePtr node)
{
    if (node->type == XML_ELEMENT_NODE && node->children)
        return node->children;
    return tome_epub_skip(root, node);
}

bool tome_epub_is(const xmlNode *const node, const char *const name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

struct bh_str tome_epub_attribute(const xmlNode *const node, const char *const name)
{
    for (const xmlAttr *attribute = node->properties; attribute; attribute = attribute->next) {
        if (strcmp((const char *)attribute->name, name) != 0)
            continue;
        const xmlNode *const value = attribute->children;
        if (value && value->type == XML_TEXT_NODE && value->content)
            return bh_str_from((const char *)value->content);
    }
    return BH_STR_NONE;
}

void tome_epub_append_text(const xmlNode *const node, struct bh_buf *const out)
{
    for (xmlNodePtr at = node->children; at; at = tome_epub_next(node, at)) {
        if (at->type != XML_TEXT_NODE && at->type != XML_CDATA_SECTION_NODE)
            continue;
        const struct bh_str text = bh_str_from((const char *)at->content);
        if (text.size > out->maximum - out->size)
            return;
        bh_buf_append_str(out, text);
    }
}

bool tome_epub_has_word(const struct bh_str list, const char *const word)
{
    struct bh_str rest = list;
    while (rest.size > 0) {
        if (bh_str_equal(bh_str_split(&rest, ' '), bh_str_from(word)))
            return true;
    }
    return false;
}

/* --- paths ------------------------------------------------------------------------------------ */

static int hexadecimal(const char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* In place; NUL bytes are refused. */
static bool percent_decode(char *const text, size_t *const size)
{
    size_t to = 0;
    for (size_t from = 0; from < *size; from++) {
        int byte = (unsigned char)text[from];
        if (byte == '%' && from + 2 < *size && hexadecimal(text[from + 1]) >= 0 &&
            hexadecimal(text[from + 2]) >= 0) {
            byte = hexadecimal(text[from + 1]) * 16 + hexadecimal(text[from + 2]);
            from += 2;
        }
        if (byte == 0)
            return false;
        text[to++] = (char)byte;
    }
    *size = to;
    return true;
}

/* Takes "." and ".." out of `path`, in place. False: it climbs above the top. */
static bool normalize(char *const path, size_t *const size)
{
    size_t to = 0;
    struct bh_str rest = { .data = path, .size = *size };
    while (rest.size > 0) {
        const struct bh_str step = bh_str_split(&rest, '/');
        if (step.size == 0 || bh_str_equal(step, BH_STR(".")))
            continue;
        if (bh_str_equal(step, BH_STR(".."))) {
            if (to == 0)
                return false;
            while (to > 0 && path[to - 1] != '/')
                to--;
            to -= to > 0;
            continue;
        }
        if (to > 0)
            path[to++] = '/';
        memmove(path + to, step.data, step.size);
        to += step.size;
    }
    *size = to;
    return true;
}

static struct bh_str directory_of(const struct bh_str path)
{
    size_t size = path.size;
    while (size > 0 && path.data[size - 1] != '/')
        size--;
    return (struct bh_str){ .data = path.data, .size = size };
}

int tome_epub_resolve(struct bh_arena *const arena, const struct bh_str base,
                      const struct bh_str reference, struct tome_epub_target *const ret_target)
{
    struct bh_str fragment = reference;
    const struct bh_str relative = bh_str_split(&fragment, '#');
    if (memchr(relative.size > 0 ? relative.data : "", ':', relative.size) ||
        bh_str_starts_with(relative, BH_STR("/")))
        return BH_EINVAL;
    const struct bh_str directory = relative.size > 0 ? directory_of(base) : base;
    char *const path = bh_arena_alloc(arena, directory.size + relative.size + 1);
    char *const name = bh_arena_strdup(arena, fragment);
    if (!path || !name)
        return BH_ENOMEM;
    size_t relative_size = relative.size;
    if (relative.size > 0)
        memcpy(path + directory.size, relative.data, relative.size);
    if (!percent_decode(path + directory.size, &relative_size) ||
        !percent_decode(name, &fragment.size))
        return BH_EINVAL;
    if (directory.size > 0)
        memcpy(path, directory.data, directory.size);
    size_t path_size = directory.size + relative_size;
    if (!normalize(path, &path_size))
        return BH_EINVAL;
    *ret_target = (struct tome_epub_target){ .path = { .data = path, .size = path_size },
                                             .fragment = { .data = name, .size = fragment.size } };
    return 0;
}
