#include "library/spell.h"

#include <string.h>
#include <unicode/utf8.h>

#include "library/index.h"

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

/* Words of the library near `form` that share its first letter. */
static int find_candidates(struct bh_sqlite_session *const session, const int64_t owner_id,
                           const struct bh_str form, const unsigned most,
                           struct candidates *const candidates, struct bh_error *const reterr)
{
    uint32_t wanted[LETTERS_MAX], letters[LETTERS_MAX];
    const size_t wanted_count = decode(form, wanted);
    int32_t first_size = 0;
    U8_FWD_1((const uint8_t *)form.data, first_size, (int32_t)form.size);
    char behind[4];
    memcpy(behind, form.data, (size_t)first_size);
    behind[first_size - 1]++; /* the least text behind all that begin with the letter */

    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_WORDS, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, owner_id);
    sqlite3_bind_text(statement, 2, form.data, first_size, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, behind, first_size, SQLITE_STATIC);
    size_t compared = 0;
    while (compared++ < TOME_SPELL_WORDS_MAX &&
           (result = tome_search_step(session, statement, reterr)) == 1) {
        const struct bh_str word = tome_search_column(statement, 0);
        if (word.size + 4 * (size_t)most < form.size || word.size > form.size + 4 * (size_t)most)
            continue;
        const size_t count = decode(word, letters);
        if (count + most < wanted_count || count > wanted_count + most)
            continue;
        const unsigned distance = tome_spell_distance(wanted, wanted_count, letters, count, most);
        if (distance > 0 && distance <= most)
            add_candidate(candidates, word, distance);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result < 0 ? result : 0;
}

/* Whether a visible book holds what `expression` finds: words of other books are not to be told. */
static int check_visible(struct bh_sqlite_session *const session,
                         const struct tome_search_session *const search,
                         const struct bh_str expression, bool *const ret_is_visible,
                         struct bh_error *const reterr)
{
    sqlite3_stmt *statement = NULL;
    int result = bh_sqlite_prepare(session, &TOME_SQL_SEARCH_ROWS, &statement, reterr);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, expression.data, (int)expression.size, SQLITE_STATIC);
    bool is_visible = false;
    while (!is_visible && (result = tome_search_step(session, statement, reterr)) == 1) {
        const int64_t book_id = sqlite3_column_int64(statement, 0) >> TOME_ORDINAL_BITS;
        is_visible = tome_search_session_find(search, book_id) >= 0;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    *ret_is_visible = is_visible;
    return result < 0 ? result : 0;
}

/* Of the nearest candidates that more than `least` chunks hold, the one that most do. */
static int choose(struct bh_sqlite_session *const session, struct tome_search_session *const search,
                  const struct candidates *const candidates, const int64_t least,
                  struct bh_str *const ret_word, struct bh_error *const reterr)
{
    int64_t best = least;
    unsigned best_distance = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *const candidate = &candidates->items[i];
        if (best > least && candidate->distance > best_distance)
            break;
        struct bh_buf expression BH_CLEANUP(bh_buf_fini_cleanup);
        bh_buf_init(&expression, 1024);
        bh_buf_printf(&expression, "body:\"%.*s\"", (int)candidate->size, candidate->word);
        int64_t count = 0;
        bool is_visible = false;
        int result = tome_search_session_count(session, search, bh_buf_peek(&expression), &count,
                                               reterr);
        if (result == 0 && count > best)
            result = check_visible(session, search, bh_buf_peek(&expression), &is_visible, reterr);
        if (result < 0)
            return result;
        if (is_visible) {
            best = count;
            best_distance = candidate->distance;
            *ret_word = (struct bh_str){ candidate->word, candidate->size };
        }
    }
    return 0;
}

static bool may_be_misspelt(const struct tome_leaf *const leaf)
{
    return leaf->is_chunk && !leaf->is_negated && !leaf->is_stop && !leaf->term->quoted &&
           !leaf->term->prefix && leaf->term->word_count == 1 && leaf->count <= RARE_MAX;
}

int tome_spell_correct(struct bh_sqlite_session *const session,
                       struct tome_search_session *const search, const struct tome_plan *const plan,
                       const struct bh_str query, struct bh_arena *const arena,
                       struct bh_str *const ret_corrected, struct bh_error *const reterr)
{
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
        int result = find_candidates(session, search->owner_id, word->form,
                                     letter_count < LETTERS_TWO_EDITS ? 1 : 2, &candidates, reterr);
        if (result == 0)
            result = choose(session, search, &candidates, CLEARLY_MORE * leaf->count, &meant,
                            reterr);
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
                                 ? bh_arena_strdup(arena, bh_buf_peek(&corrected))
                                 : NULL;
    if (copy == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
    *ret_corrected = (struct bh_str){ copy, corrected.size };
    return 0;
}
