#include "extract/entity.h"

#include <libxml/HTMLparser.h>
#include <stdlib.h>

#include "extract/plain.h"

#define ENTITY_BYTES_MAX 32u

size_t tome_entity_append(struct bh_buf *const out, const struct bh_str text, const size_t at)
{
    const size_t limit = text.size - at > ENTITY_BYTES_MAX ? ENTITY_BYTES_MAX : text.size - at;
    const char *const end = memchr(text.data + at, ';', limit);
    if (!end)
        return 0;
    const struct bh_str name = { .data = text.data + at + 1,
                                 .size = (size_t)(end - text.data) - at - 1 };
    char terminated[ENTITY_BYTES_MAX];
    if (name.size == 0)
        return 0;
    memcpy(terminated, name.data, name.size);
    terminated[name.size] = '\0';
    unsigned long point = 0;
    if (terminated[0] == '#') {
        const bool hexadecimal = (terminated[1] | 0x20) == 'x';
        point = strtoul(terminated + 1 + hexadecimal, NULL, hexadecimal ? 16 : 10);
    } else {
        const htmlEntityDesc *const entity = htmlEntityLookup((const xmlChar *)terminated);
        point = entity ? entity->value : 0;
    }
    if (point == 0 || point > 0x10FFFF)
        return 0;
    tome_plain_append_point(out, (uint32_t)point);
    return (size_t)(end - text.data) + 1;
}

void tome_entities_append(struct bh_buf *const out, const struct bh_str text)
{
    for (size_t at = 0; at < text.size;) {
        const char *const mark = memchr(text.data + at, '&', text.size - at);
        const size_t end = mark ? (size_t)(mark - text.data) : text.size;
        bh_buf_append(out, text.data + at, end - at);
        at = end;
        if (!mark)
            return;
        const size_t next = tome_entity_append(out, text, at);
        if (next == 0)
            bh_buf_append_byte(out, '&');
        at = next > 0 ? next : at + 1;
    }
}
