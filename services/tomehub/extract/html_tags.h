/* What the elements of HTML mean for running text. Pure, any thread. */
#pragma once

#include "bulkhead/base/str.h"

enum tome_tag {
    TOME_TAG_INLINE,  /* unknown ones too */
    TOME_TAG_BLOCK,   /* a paragraph of its own */
    TOME_TAG_SKIPPED, /* it and all inside it leave no text */
    TOME_TAG_BREAK,
    TOME_TAG_CELL,
    TOME_TAG_ROW,
    TOME_TAG_ITEM,
    TOME_TAG_ORDERED_LIST,
    TOME_TAG_UNORDERED_LIST,
    TOME_TAG_PREFORMATTED,
    TOME_TAG_HEADING, /* h1…h6 */
    TOME_TAG_TITLE,
    TOME_TAG_META,
};

/* `name` in lower case. */
enum tome_tag tome_tag_of(struct bh_str name);
