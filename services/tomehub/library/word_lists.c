#include "library/word_lists.h"

#include <stdlib.h>

int tome_word_lists_add(struct tome_word_lists *const lists, struct bh_arena *const arena,
                        const struct bh_str word, const struct bh_str postings)
{
    if (lists->count == lists->capacity) {
        const size_t larger = lists->capacity > 0 ? lists->capacity * 2 : 64;
        struct tome_word_list *const items = bh_arena_calloc(arena, larger, sizeof(*items));
        if (items == NULL)
            return BH_ENOMEM;
        if (lists->count > 0)
            memcpy(items, lists->items, lists->count * sizeof(*items));
        lists->items = items;
        lists->capacity = larger;
    }
    lists->items[lists->count++] = (struct tome_word_list){ word, postings };
    return 0;
}

/* Of equal words the one with postings comes first. */
static int compare_items(const void *const a, const void *const b)
{
    const struct tome_word_list *const left = a, *const right = b;
    const int order = bh_str_compare(left->word, right->word);
    return order != 0 ? order
           : left->postings.size > right->postings.size
               ? -1
               : left->postings.size < right->postings.size;
}

void tome_word_lists_sort(struct tome_word_lists *const lists)
{
    if (lists->count < 2)
        return;
    qsort(lists->items, lists->count, sizeof(*lists->items), compare_items);
    size_t kept = 1;
    for (size_t i = 1; i < lists->count; i++)
        if (!bh_str_equal(lists->items[i].word, lists->items[kept - 1].word))
            lists->items[kept++] = lists->items[i];
    lists->count = kept;
}

size_t tome_word_lists_from(const struct tome_word_lists *const lists, const struct bh_str word)
{
    size_t low = 0, high = lists->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (bh_str_compare(lists->items[middle].word, word) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has(const struct tome_word_lists *const lists, const struct bh_str word)
{
    const size_t at = tome_word_lists_from(lists, word);
    return at < lists->count && bh_str_equal(lists->items[at].word, word);
}

struct bh_str tome_word_lists_find(const struct tome_word_lists *const lists,
                                   const struct bh_str word)
{
    return has(lists, word) ? lists->items[tome_word_lists_from(lists, word)].postings
                            : BH_STR_NONE;
}

/* ---- What a search has fetched ---- */

void tome_fetched_init(struct tome_fetched *const fetched, struct bh_arena *const arena)
{
    *fetched = (struct tome_fetched){ .arena = arena };
}

/* The word may stand in a buffer of the caller's: it is copied. */
static void want(struct tome_fetched *const fetched, struct tome_word_lists *const wanted,
                 const struct bh_str word)
{
    const char *const copy = bh_arena_strdup(fetched->arena, word);
    const struct bh_str kept = { copy, word.size };
    if (copy == NULL || tome_word_lists_add(wanted, fetched->arena, kept, BH_STR_NONE) < 0)
        fetched->out_of_memory = true;
}

static bool begins_with_fetched(const struct tome_fetched *const fetched, const struct bh_str word)
{
    for (size_t i = 0; i < fetched->prefixes.count; i++)
        if (bh_str_starts_with(word, fetched->prefixes.items[i].word))
            return true;
    return false;
}

bool tome_fetched_has(struct tome_fetched *const fetched, const struct bh_str word)
{
    if (has(&fetched->chunks, word))
        return true;
    want(fetched, &fetched->wanted, word);
    return false;
}

bool tome_fetched_has_prefix(struct tome_fetched *const fetched, const struct bh_str prefix)
{
    if (begins_with_fetched(fetched, prefix))
        return true;
    want(fetched, &fetched->wanted_prefixes, prefix);
    return false;
}

const struct tome_vocabulary *tome_fetched_vocabulary(struct tome_fetched *const fetched,
                                                      const struct bh_str letter,
                                                      const int64_t minimum, const int64_t maximum)
{
    for (size_t i = 0; i < fetched->vocabulary_count; i++) {
        const struct tome_vocabulary *const known = &fetched->vocabularies[i];
        if (bh_str_equal(known->letter, letter) && known->letters_minimum <= minimum &&
            known->letters_maximum >= maximum)
            return known;
    }
    const char *const copy = bh_arena_strdup(fetched->arena, letter);
    fetched->out_of_memory |= copy == NULL ||
                              fetched->vocabulary_count == TOME_FETCHED_VOCABULARIES_MAX;
    fetched->wanted_vocabulary = (struct tome_vocabulary){ .letter = { copy, letter.size },
                                                           .letters_minimum = minimum,
                                                           .letters_maximum = maximum };
    fetched->wants_vocabulary = true;
    return NULL;
}

int tome_fetched_done(struct tome_fetched *const fetched)
{
    struct tome_word_lists *const prefixes = &fetched->wanted_prefixes;
    int result = fetched->out_of_memory ? BH_ENOMEM : 0;
    for (size_t i = 0; i < fetched->wanted.count && result == 0; i++)
        result = tome_word_lists_add(&fetched->chunks, fetched->arena,
                                     fetched->wanted.items[i].word, BH_STR_NONE);
    for (size_t i = 0; i < prefixes->count && result == 0; i++)
        result = tome_word_lists_add(&fetched->prefixes, fetched->arena, prefixes->items[i].word,
                                     BH_STR_NONE);
    tome_word_lists_sort(&fetched->chunks);
    fetched->wanted.count = prefixes->count = 0;
    fetched->wants_vocabulary = false;
    return result;
}
