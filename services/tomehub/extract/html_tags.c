#include "extract/html_tags.h"

struct entry {
    const char *name;
    enum tome_tag tag;
};

/* In ASCII order. */
static const struct entry entries[] = {
    { "address", TOME_TAG_BLOCK },
    { "article", TOME_TAG_BLOCK },
    { "aside", TOME_TAG_BLOCK },
    { "audio", TOME_TAG_SKIPPED },
    { "blockquote", TOME_TAG_BLOCK },
    { "body", TOME_TAG_BLOCK },
    { "br", TOME_TAG_BREAK },
    { "button", TOME_TAG_SKIPPED },
    { "canvas", TOME_TAG_SKIPPED },
    { "caption", TOME_TAG_BLOCK },
    { "center", TOME_TAG_BLOCK },
    { "datalist", TOME_TAG_SKIPPED },
    { "dd", TOME_TAG_BLOCK },
    { "details", TOME_TAG_BLOCK },
    { "dialog", TOME_TAG_BLOCK },
    { "div", TOME_TAG_BLOCK },
    { "dl", TOME_TAG_BLOCK },
    { "dt", TOME_TAG_BLOCK },
    { "fieldset", TOME_TAG_BLOCK },
    { "figcaption", TOME_TAG_BLOCK },
    { "figure", TOME_TAG_BLOCK },
    { "footer", TOME_TAG_BLOCK },
    { "form", TOME_TAG_BLOCK },
    { "h1", TOME_TAG_HEADING },
    { "h2", TOME_TAG_HEADING },
    { "h3", TOME_TAG_HEADING },
    { "h4", TOME_TAG_HEADING },
    { "h5", TOME_TAG_HEADING },
    { "h6", TOME_TAG_HEADING },
    { "header", TOME_TAG_BLOCK },
    { "hr", TOME_TAG_BLOCK },
    { "html", TOME_TAG_BLOCK },
    { "iframe", TOME_TAG_SKIPPED },
    { "legend", TOME_TAG_BLOCK },
    { "li", TOME_TAG_ITEM },
    { "main", TOME_TAG_BLOCK },
    { "menu", TOME_TAG_UNORDERED_LIST },
    { "meta", TOME_TAG_META },
    { "nav", TOME_TAG_SKIPPED },
    { "noembed", TOME_TAG_SKIPPED },
    { "noframes", TOME_TAG_SKIPPED },
    { "noscript", TOME_TAG_SKIPPED },
    { "object", TOME_TAG_SKIPPED },
    { "ol", TOME_TAG_ORDERED_LIST },
    { "option", TOME_TAG_SKIPPED },
    { "p", TOME_TAG_BLOCK },
    { "pre", TOME_TAG_PREFORMATTED },
    { "rp", TOME_TAG_SKIPPED },
    { "rt", TOME_TAG_SKIPPED },
    { "script", TOME_TAG_SKIPPED },
    { "section", TOME_TAG_BLOCK },
    { "select", TOME_TAG_SKIPPED },
    { "style", TOME_TAG_SKIPPED },
    { "summary", TOME_TAG_BLOCK },
    { "svg", TOME_TAG_SKIPPED },
    { "table", TOME_TAG_BLOCK },
    { "tbody", TOME_TAG_BLOCK },
    { "td", TOME_TAG_CELL },
    { "template", TOME_TAG_SKIPPED },
    { "textarea", TOME_TAG_SKIPPED },
    { "tfoot", TOME_TAG_BLOCK },
    { "th", TOME_TAG_CELL },
    { "thead", TOME_TAG_BLOCK },
    { "title", TOME_TAG_TITLE },
    { "tr", TOME_TAG_ROW },
    { "ul", TOME_TAG_UNORDERED_LIST },
    { "video", TOME_TAG_SKIPPED },
};

enum tome_tag tome_tag_of(const struct bh_str name)
{
    size_t low = 0;
    size_t high = BH_COUNT_OF(entries);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = bh_str_compare(name, bh_str_from(entries[middle].name));
        if (order == 0)
            return entries[middle].tag;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return TOME_TAG_INLINE;
}
