#include "library/spell.h"

#include <string.h>
#include <unicode/utf8.h>

#define LETTERS_MAX 48
#define LETTERS_ONE_EDIT 5
#define LETTERS_TWO_EDITS 9
#define CANDIDATES_MAX 16
#define LOOK_UPS_MAX 4  /* words of one query */
#define RARE_MAX 2      /* chunks: a word that more hold is taken as meant */
#define CLEARLY_MORE 10 /* times as many chunks must hold another word than one that is there */

struct candidate {
    char word[4 * LETTERS_MAX];
    size_t size;
    unsigned distance;
};

struct candidates {
    struct candidate items[CANDIDATES_MAX]; /* nearest first */
    size_t count;
};

static size_t decode(const struct bh_str word, uint32_t letters[LETTERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < word.size && count < LETTERS_MAX; count++) {
        int32_t offset = 0;
        UChar32 c;
        U8_NEXT((const uint8_t *)word.data + i, offset, (int32_t)(word.size - i), c);
        letters[count] = c < 0 ? 0xfffd : (uint32_t)c;
        i += (size_t)offset;
    }
    return count;
}

unsigned tome_spell_distance(const uint32_t *const a, const size_t a_count, const uint32_t *const b,
                             const size_t b_count, const unsigned most)
{
    if (a_count > LETTERS_MAX || b_count > LETTERS_MAX)
        return most + 1;
    /* Optimal string alignment, three rows at a time. */
    unsigned rows[3][LETTERS_MAX + 1];
    for (size_t j = 0; j <= b_count; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_count; i++) {
        const unsigned *const above = rows[(i - 1) % 3], *const above_two = rows[(i + 1) % 3];
        unsigned *const row = rows[i % 3];
        row[0] = (unsigned)i;
        unsigned least = row[0];
        for (size_t j = 1; j <= b_count; j++) {
            unsigned value = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < value)
                value = above[j] + 1;
            if (row[j - 1] + 1 < value)
                value = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above_two[j - 2] + 1 < value)
                value = above_two[j - 2] + 1;
            row[j] = value;
            if (value < least)
                least = value;
        }
        if (least > most)
            return most + 1;
    }
    const unsigned distance = rows[a_count % 3][b_count];
    return distance < most ? distance : distance == most ? most : most + 1;
}

static void add_candidate(struct candidates *const candidates, const struct bh_str word,
                          const unsigned distance)
{
    size_t at = candidates->count;
    while (at > 0 && candidates->items[at - 1].distance > distance)
        at--;
    if (at == CANDIDATES_MAX || word.size > sizeof(candidates->items[0].word))
        return;
    const size_t moved = candidates->count < CANDIDATES_MAX ? candidates->count - at
                                                            : CANDIDATES_MAX - 1 - at;
    memmove(&candidates->items[at + 1], &candidates->items[at], moved * sizeof(struct candidate));
    candidates->items[at].size = word.size;
    candidates->items[at].distance = distance;
    memcpy(candidates->items[at].word, word.data, word.size);
    if (candidates->count < CANDIDATES_MAX)
        candidates->count++;
}

struct finding {
    uint32_t wanted[LETTERS_MAX];
    size_t wanted_count, form_size, compared;
    unsigned most;
    struct candidates *candidates;
};

static bool compare_word(void *const argument, const struct bh_str word)
{
    struct finding *const finding = argument;
    const size_t most = finding->most;
    uint32_t letters[LETTERS_MAX];
    if (finding->compared++ == TOME_SPELL_WORDS_MAX)
        return false;
    if (word.size + 4 * most < finding->form_size || word.size > finding->form_size + 4 * most)
        return true;
    const size_t count = decode(word, letters);
    if (count + most < finding->wanted_count || count > finding->wanted_count + most)
        return true;
    const unsigned distance = tome_spell_distance(finding->wanted, finding->wanted_count, letters,
                                                  count, finding->most);
    if (distance > 0 && distance <= most)
        add_candidate(finding->candidates, word, distance);
    return true;
}

/* Words of the library near `form` that share its first letter. */
static int find_candidates(struct tome_search_run *const run, const struct bh_str form,
                           const unsigned most, struct candidates *const candidates,
                           struct bh_error *const reterr)
{
    struct finding finding = { .form_size = form.size, .most = most, .candidates = candidates };
    finding.wanted_count = decode(form, finding.wanted);
    return run->source->words(run, form, most, compare_word, &finding, reterr);
}

/* Of the nearest candidates that more than `least` chunks hold, the one that most do. Words that
 * only books hold which are not visible are not to be told. */
static int choose(struct tome_search_run *const run, const struct candidates *const candidates,
                  const int64_t least, struct bh_str *const ret_word, struct bh_error *const reterr)
{
    struct bh_str words[CANDIDATES_MAX];
    for (size_t i = 0; i < candidates->count; i++)
        words[i] = (struct bh_str){ candidates->items[i].word, candidates->items[i].size };
    int result = run->source->expect_words(run, words, candidates->count, reterr);
    int64_t best = least;
    unsigned best_distance = 0;
    size_t chosen = candidates->count;
    for (size_t i = 0; i < candidates->count && result == 0; i++) {
        int64_t count = 0;
        if (best > least && candidates->items[i].distance > best_distance)
            break;
        result = run->source->count_word(run, words[i], best, &count, reterr);
        if (count > best) {
            best = count;
            best_distance = candidates->items[i].distance;
            chosen = i;
        }
    }
    if (result < 0 || chosen == candidates->count)
        return result;
    const char *const copy = bh_arena_strdup(run->arena, words[chosen]);
    if (copy == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
    *ret_word = (struct bh_str){ copy, words[chosen].size };
    return 0;
}

static bool may_be_misspelt(const struct tome_leaf *const leaf)
{
    return leaf->is_chunk && !leaf->is_negated && !leaf->is_stop && !leaf->term->quoted &&
           !leaf->term->prefix && leaf->term->word_count == 1 && leaf->count <= RARE_MAX;
}

int tome_spell_correct(struct tome_search_run *const run, struct bh_str *const ret_corrected,
                       struct bh_error *const reterr)
{
    const struct tome_plan *const plan = &run->plan;
    const struct bh_str query = run->text;
    struct bh_buf corrected BH_CLEANUP(bh_buf_fini_cleanup);
    bh_buf_init(&corrected, 64 * 1024);
    size_t copied = 0; /* of the query */
    bool has_changed = false;
    size_t looked_up = 0;
    for (size_t i = 0; i < plan->leaf_count && looked_up < LOOK_UPS_MAX; i++) {
        const struct tome_leaf *const leaf = &plan->leaves[i];
        if (!may_be_misspelt(leaf))
            continue;
        const struct tome_query_word *const word = &leaf->term->words[0];
        uint32_t letters[LETTERS_MAX];
        const size_t letter_count = decode(word->form, letters);
        if (letter_count < LETTERS_ONE_EDIT || letter_count == LETTERS_MAX)
            continue;
        looked_up++;
        struct candidates candidates = { .count = 0 };
        struct bh_str meant = BH_STR_NONE;
        int result = find_candidates(run, word->form, letter_count < LETTERS_TWO_EDITS ? 1 : 2,
                                     &candidates, reterr);
        if (result == 0)
            result = choose(run, &candidates, CLEARLY_MORE * leaf->count, &meant, reterr);
        if (result < 0)
            return result;
        if (meant.size == 0)
            continue;
        const size_t start = (size_t)(word->source.data - query.data);
        bh_buf_append(&corrected, query.data + copied, start - copied);
        bh_buf_append_str(&corrected, meant);
        copied = start + word->source.size;
        has_changed = true;
    }
    if (!has_changed) {
        *ret_corrected = BH_STR_NONE;
        return 0;
    }
    bh_buf_append(&corrected, query.data + copied, query.size - copied);
    const char *const copy = bh_buf_error(&corrected) == 0
                                 ? bh_arena_strdup(run->arena, bh_buf_peek(&corrected))
                                 : NULL;
    if (copy == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
    *ret_corrected = (struct bh_str){ copy, corrected.size };
    return 0;
}
