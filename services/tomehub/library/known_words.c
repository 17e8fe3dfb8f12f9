#include "library/known_words.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"

#define KNOWN_MAGIC UINT32_C(0x746f6d4b)
#define SETS 32768 /* a power of two */
#define WAYS 4     /* keys of a set, the newest first */

struct tome_known_words {
    BH_MAGIC_FIELD;
    uint64_t keys[SETS][WAYS]; /* 0: empty */
};

int tome_known_words_create(struct tome_known_words **const ret_known)
{
    struct tome_known_words *const known = calloc(1, sizeof(*known));
    if (known == NULL)
        return BH_ENOMEM;
    known->magic = KNOWN_MAGIC;
    *ret_known = known;
    return 0;
}

void tome_known_words_destroy(struct tome_known_words *const known)
{
    if (known == NULL)
        return;
    bh_magic_check(known, KNOWN_MAGIC);
    known->magic = 0;
    free(known);
}

bool tome_known_words_meet(struct tome_known_words *const known, const int64_t owner_id,
                           const int64_t generation, const uint64_t hash)
{
    bh_magic_check(known, KNOWN_MAGIC);
    const uint64_t parts[] = { (uint64_t)owner_id, (uint64_t)generation, hash };
    const uint64_t key = XXH3_64bits(parts, sizeof(parts)) | 1;
    uint64_t *const set = known->keys[key >> 1 & (SETS - 1)];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i] == key)
            return true;
    memmove(&set[1], &set[0], (WAYS - 1) * sizeof(set[0]));
    set[0] = key;
    return false;
}

void tome_known_words_clear(struct tome_known_words *const known)
{
    bh_magic_check(known, KNOWN_MAGIC);
    memset(known->keys, 0, sizeof(known->keys));
}
