/* What a provider writes: cut into sentences, citations taken, checked against a chunk. */
#include "answers/grounding.h"
#include "bulkhead/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tome_search_hit hits[] = {
    { .title = { "Light", 5 },
      .content = { "A lamp burns at the pier. There were 14 lamps.", 46 },
      .passage.language = TOME_LANGUAGE_ENGLISH },
    { .content = { "Die Lampe brennt.", 17 }, .passage.language = TOME_LANGUAGE_GERMAN },
};

int LLVMFuzzerTestOneInput(const uint8_t *const data, const size_t size)
{
    static struct tome_analyzer *analyzer;
    static struct bh_arena *arena;
    const struct bh_str question = BH_STR("Where does the lamp burn?");
    if (analyzer == NULL &&
        (tome_analyzer_create(&analyzer) != 0 || bh_arena_create((size_t)64 << 20, &arena) != 0))
        return 0;
    struct bh_str text = { (const char *)data, size };
    if (!bh_str_is_utf8(text))
        return 0;
    for (size_t end; (end = tome_grounding_sentence_end(text, true)) > 0;) {
        struct tome_grounding grounding;
        bh_assert(end <= text.size);
        bh_arena_reset(arena);
        if (tome_grounding_check(analyzer, (struct bh_str){ text.data, end }, question, hits,
                                 BH_COUNT_OF(hits), arena, &grounding) == 0) {
            bh_assert(grounding.cited_count <= BH_COUNT_OF(hits));
            bh_assert(!grounding.is_supported || grounding.cited_count > 0);
        }
        text = (struct bh_str){ text.data + end, text.size - end };
    }
    return 0;
}
