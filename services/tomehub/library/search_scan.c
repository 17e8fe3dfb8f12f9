#include "library/search_scan.h"

#include <stdlib.h>
#include <string.h>

#include "library/index.h"
#include "library/score.h"

#define PLACES_MAX 12 /* occurrences of a word that are looked at for nearness */

/* What a row holds of one leaf. */
struct leaf_hits {
    uint32_t counts[TOME_PHRASE_KINDS]; /* in the text */
    uint32_t place_count;
    int places[PLACES_MAX]; /* in the text, of whole words as typed or equal to their stem */
};

struct tome_scan_row {
    int64_t id;
    uint64_t text_leaves, heading_leaves;
    struct leaf_hits hits[TOME_QUERY_TERMS_MAX]; /* of the leaves in text_leaves */
};

/* ---- Keeping the best ---- */

static bool is_better(const struct tome_candidate *const a, const struct tome_candidate *const b)
{
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

static int compare_candidates(const void *const a, const void *const b)
{
    return is_better(a, b) ? -1 : is_better(b, a) ? 1 : 0;
}

static void swap(struct tome_candidate *const a, struct tome_candidate *const b)
{
    const struct tome_candidate kept = *a;
    *a = *b;
    *b = kept;
}

/* Brings the best `keep` to the front (quickselect, median of three). */
static void select_best(struct tome_candidate *const items, const size_t count, const size_t keep)
{
    size_t low = 0, high = count;
    while (high - low > 1 && keep > low && keep < high) {
        struct tome_candidate *const middle = &items[low + (high - low) / 2];
        if (is_better(middle, &items[low]))
            swap(middle, &items[low]);
        if (is_better(&items[high - 1], &items[low]))
            swap(&items[high - 1], &items[low]);
        if (is_better(&items[high - 1], middle))
            swap(&items[high - 1], middle);
        const struct tome_candidate pivot = *middle;
        size_t i = low, j = high - 1;
        for (;;) {
            while (is_better(&items[i], &pivot))
                i++;
            while (is_better(&pivot, &items[j]))
                j--;
            if (i >= j)
                break;
            swap(&items[i++], &items[j--]);
        }
        if (keep <= i)
            high = i;
        else
            low = i;
    }
}

/* Cuts the candidates to the best `keep`, and remembers the worst of these. */
static void choose_best(struct tome_scan *const scan)
{
    select_best(scan->candidates, scan->candidate_count, scan->keep);
    scan->candidate_count = scan->keep;
    scan->worst = scan->candidates[0];
    for (size_t i = 1; i < scan->keep; i++)
        if (is_better(&scan->worst, &scan->candidates[i]))
            scan->worst = scan->candidates[i];
    scan->has_worst = true;
}

static int keep_candidate(struct tome_scan *const scan,
                          const struct tome_candidate *const candidate)
{
    if (scan->has_bound && !is_better(&scan->bound, candidate))
        return 0;
    scan->behind_count++;
    if (scan->has_worst && !is_better(candidate, &scan->worst))
        return 0;
    if (scan->candidate_count == scan->capacity) {
        if (scan->capacity >= 2 * scan->keep) {
            choose_best(scan);
        } else {
            const size_t doubled = scan->capacity > 0 ? scan->capacity * 2 : 256;
            const size_t larger = doubled < 2 * scan->keep ? doubled : 2 * scan->keep;
            struct tome_candidate *const grown = reallocarray(scan->candidates, larger,
                                                              sizeof(*grown));
            if (grown == NULL)
                return BH_ENOMEM;
            scan->candidates = grown;
            scan->capacity = larger;
        }
    }
    scan->candidates[scan->candidate_count++] = *candidate;
    return 0;
}

/* ---- Rows ---- */

/* Moves to the row's book; false when it is not to be found here. Rows come in order of ids. */
static bool enter_book(struct tome_scan *const scan, const int64_t book_id)
{
    const struct tome_visible *const visible = scan->visible;
    while (scan->at < visible->book_count && visible->books[scan->at].id < book_id)
        scan->at++;
    if (scan->at == visible->book_count || visible->books[scan->at].id != book_id)
        return false;
    const struct tome_scan_book *const book = &scan->books[scan->at];
    return !book->is_excluded && (scan->with_set_aside || !book->is_set_aside);
}

static struct leaf_hits *text_hits(struct tome_scan *const scan,
                                   const struct tome_plan_phrase phrase)
{
    struct tome_scan_row *const row = scan->row;
    const uint64_t bit = UINT64_C(1) << phrase.leaf;
    struct leaf_hits *const hits = &row->hits[phrase.leaf];
    if ((row->text_leaves & bit) == 0) {
        memset(hits->counts, 0, sizeof(hits->counts));
        hits->place_count = 0;
        row->text_leaves |= bit;
    }
    return hits;
}

void tome_scan_row_text(struct tome_scan *const scan, const size_t index, const uint32_t count)
{
    const struct tome_plan_phrase phrase = scan->expression->phrases[index];
    text_hits(scan, phrase)->counts[phrase.kind] += count;
}

bool tome_scan_row_place(struct tome_scan *const scan, const size_t index, const uint32_t position)
{
    struct leaf_hits *const hits = text_hits(scan, scan->expression->phrases[index]);
    if (hits->place_count < PLACES_MAX)
        hits->places[hits->place_count++] = (int)position;
    return hits->place_count < PLACES_MAX;
}

void tome_scan_row_heading(struct tome_scan *const scan, const size_t index)
{
    scan->row->heading_leaves |= UINT64_C(1) << scan->expression->phrases[index].leaf;
}

static bool satisfies(const struct tome_scan *const scan, const uint64_t leaves)
{
    const struct tome_plan *const plan = scan->plan;
    for (size_t i = 0; i < plan->clause_count; i++) {
        const struct tome_plan_clause *const clause = &plan->clauses[i];
        const bool is_demanded = clause->is_demanded && !(scan->match_some && clause->is_relaxable);
        if (is_demanded && (leaves & clause->leaves) == 0)
            return false;
    }
    if (!scan->match_some || scan->weight_minimum <= 0.0)
        return true;
    double weight = 0.0;
    for (uint64_t rest = leaves; rest != 0; rest &= rest - 1)
        weight += plan->leaves[__builtin_ctzll(rest)].weight;
    return weight >= scan->weight_minimum;
}

static int length_factor(struct tome_scan *const scan, const int64_t id, double *const ret_factor)
{
    struct tome_visible_book *const book = &scan->visible->books[scan->at];
    if (book->lengths == NULL && scan->read_lengths != NULL) {
        const int result = scan->read_lengths(scan->lengths_argument, book);
        if (result < 0)
            return result;
    }
    const size_t ordinal = (size_t)(id & ((INT64_C(1) << TOME_ORDINAL_BITS) - 1));
    *ret_factor = book->lengths != NULL && ordinal < book->length_count
                      ? (double)scan->length_factors[book->lengths[ordinal]]
                      : 1.0;
    return 0;
}

/* How often a word stands in the text: as typed, and a little less for its other forms. */
static double word_frequency(const struct leaf_hits *const hits)
{
    const uint32_t forms = hits->counts[TOME_PHRASE_FORM], stems = hits->counts[TOME_PHRASE_STEM];
    /* The word as typed is among those with its stem, unless the chunk is in another language. */
    const uint32_t others = (stems > forms ? stems - forms : 0) +
                            hits->counts[TOME_PHRASE_STEM_FORM] + hits->counts[TOME_PHRASE_VARIANT];
    return (double)forms + TOME_SCORE_OTHER_FORM * (double)others;
}

/* BM25F. `factor`: what an occurrence counts in a text of this length. */
static double score_words(const struct tome_scan *const scan, const struct tome_scan_row *const row,
                          const double factor)
{
    const struct tome_scan_book *const book = &scan->books[scan->at];
    const uint64_t leaves = row->text_leaves | row->heading_leaves | book->title_leaves |
                            book->author_leaves;
    double score = 0.0;
    for (uint64_t rest = leaves; rest != 0; rest &= rest - 1) {
        const int leaf = __builtin_ctzll(rest);
        const uint64_t bit = UINT64_C(1) << leaf;
        double frequency = 0.0;
        if (row->text_leaves & bit)
            frequency = factor * word_frequency(&row->hits[leaf]);
        frequency += (row->heading_leaves & bit) ? TOME_SCORE_HEADING : 0.0;
        frequency += (book->title_leaves & bit) ? TOME_SCORE_TITLE : 0.0;
        frequency += (book->author_leaves & bit) ? TOME_SCORE_AUTHOR : 0.0;
        score += scan->plan->leaves[leaf].weight * tome_score_saturate(frequency);
    }
    return score;
}

/* 1 where `b` stands right behind `a` somewhere, less with every word between them, 0 where they
 * are far apart. */
static double nearness(const struct leaf_hits *const a, const struct leaf_hits *const b)
{
    double best = 0.0;
    for (uint32_t i = 0; i < a->place_count; i++) {
        for (uint32_t j = 0; j < b->place_count; j++) {
            const int distance = b->places[j] - a->places[i];
            const int span = distance < 0 ? -distance : distance;
            if (span == 0 || span > TOME_SCORE_NEAR_WORDS)
                continue;
            const double value = (distance > 0 ? 1.0 : TOME_SCORE_REVERSED) / (double)span;
            best = value > best ? value : best;
        }
    }
    return best;
}

/* Words that follow one another in the query and stand near one another in the text. */
static double score_nearness(const struct tome_scan *const scan,
                             const struct tome_scan_row *const row)
{
    double score = 0.0;
    int before = -1;
    for (uint64_t rest = row->text_leaves; rest != 0; rest &= rest - 1) {
        const int leaf = __builtin_ctzll(rest);
        if (before >= 0 && scan->plan->leaves[leaf].previous == before) {
            const double a = scan->plan->leaves[before].weight;
            const double b = scan->plan->leaves[leaf].weight;
            score += (a < b ? a : b) * nearness(&row->hits[before], &row->hits[leaf]);
        }
        before = leaf;
    }
    return TOME_SCORE_NEAR * score;
}

static int add_hit(struct tome_scan *const scan, const int64_t id, const double score)
{
    struct tome_scan_book *const book = &scan->books[scan->at];
    const int64_t ordinal = id & ((INT64_C(1) << TOME_ORDINAL_BITS) - 1);
    scan->hit_count++;
    scan->book_count += book->hit_count == 0;
    book->hit_count++;
    book->has_first |= ordinal == 0;
    if ((float)score > book->best_score)
        book->best_score = (float)score;
    const int64_t place = scan->book_order != NULL
                              ? ((int64_t)scan->book_order[scan->at] << TOME_ORDINAL_BITS) + ordinal
                              : 0;
    const struct tome_candidate candidate = {
        .key = scan->book_order != NULL ? -(double)place : score,
        .id = id,
        .score = (float)score,
    };
    return keep_candidate(scan, &candidate);
}

/* A heading stands with every chunk of its chapter; where nothing but the heading matches, the
 * first of the chapter's chunks is enough. */
static bool repeats_heading(struct tome_scan *const scan, const struct tome_scan_row *const row)
{
    const bool follows = row->id == scan->last_id + 1 &&
                         row->heading_leaves == scan->last_heading_leaves;
    scan->last_id = row->id;
    scan->last_heading_leaves = row->heading_leaves;
    return row->text_leaves == 0 && follows;
}

bool tome_scan_row_begin(struct tome_scan *const scan, const int64_t id)
{
    struct tome_scan_row *const row = scan->row;
    row->id = id;
    row->text_leaves = row->heading_leaves = 0;
    return enter_book(scan, id >> TOME_ORDINAL_BITS);
}

int64_t tome_scan_behind_book(const struct tome_scan *const scan, const int64_t id)
{
    const struct tome_visible *const visible = scan->visible;
    const int64_t behind = (id >> TOME_ORDINAL_BITS) + 1;
    if (scan->at == visible->book_count)
        return INT64_MAX;
    const int64_t next = visible->books[scan->at].id;
    return (next > behind ? next : behind) << TOME_ORDINAL_BITS;
}

int tome_scan_row_end(struct tome_scan *const scan)
{
    const struct tome_scan_row *const row = scan->row;
    const struct tome_scan_book *const book = &scan->books[scan->at];
    const uint64_t leaves = row->text_leaves | row->heading_leaves | book->title_leaves |
                            book->author_leaves | book->field_leaves;
    double factor;
    if (repeats_heading(scan, row) || !satisfies(scan, leaves))
        return 0;
    const int result = length_factor(scan, row->id, &factor);
    return result < 0
               ? result
               : add_hit(scan, row->id, score_words(scan, row, factor) + score_nearness(scan, row));
}

/* ---- Passes ---- */

int tome_scan_init(struct tome_scan *const scan, struct tome_visible *const visible,
                   const struct tome_plan *const plan, const size_t keep)
{
    *scan = (struct tome_scan){ .visible = visible, .plan = plan, .keep = keep };
    tome_score_length_factors(visible->average_length, scan->length_factors);
    scan->books = calloc(visible->book_count + 1, sizeof(*scan->books));
    scan->row = malloc(sizeof(*scan->row));
    return scan->books == NULL || scan->row == NULL ? BH_ENOMEM : 0;
}

void tome_scan_fini(struct tome_scan *const scan)
{
    free(scan->books);
    free(scan->row);
    free(scan->candidates);
}

void tome_scan_restart(struct tome_scan *const scan)
{
    for (size_t i = 0; i < scan->visible->book_count; i++) {
        scan->books[i].hit_count = 0;
        scan->books[i].best_score = 0.0F;
        scan->books[i].has_first = false;
    }
    scan->candidate_count = 0;
    scan->has_worst = false;
    scan->hit_count = scan->book_count = scan->behind_count = 0;
}

void tome_scan_begin(struct tome_scan *const scan, const struct tome_expression *const expression)
{
    scan->expression = expression;
    scan->at = 0;
    scan->last_id = -1;
}

int tome_scan_add_book(struct tome_scan *const scan, const size_t book,
                       struct bh_error *const reterr)
{
    const struct tome_scan_book *const counted = &scan->books[book];
    const struct tome_visible_book *const visible = &scan->visible->books[book];
    const uint64_t leaves = counted->title_leaves | counted->author_leaves | counted->field_leaves;
    /* Whether the first chunk holds what must not be is not known here. */
    if (scan->plan->has_negated_chunk || leaves == 0 || counted->is_excluded ||
        counted->has_first || visible->chunk_count == 0 || !satisfies(scan, leaves))
        return 0;
    scan->at = book;
    struct tome_scan_row *const row = scan->row;
    row->id = visible->id << TOME_ORDINAL_BITS;
    row->text_leaves = row->heading_leaves = 0;
    if (add_hit(scan, row->id, score_words(scan, row, 1.0)) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
    return 0;
}

int tome_scan_add_books(struct tome_scan *const scan, struct bh_error *const reterr)
{
    int result = 0;
    for (size_t i = 0; i < scan->visible->book_count && result == 0; i++)
        result = tome_scan_add_book(scan, i, reterr);
    return result;
}

void tome_scan_finish(struct tome_scan *const scan)
{
    if (scan->candidate_count > scan->keep) {
        select_best(scan->candidates, scan->candidate_count, scan->keep);
        scan->candidate_count = scan->keep;
    }
    if (scan->candidate_count > 1)
        qsort(scan->candidates, scan->candidate_count, sizeof(*scan->candidates),
              compare_candidates);
}
