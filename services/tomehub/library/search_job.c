#include "library/search_job.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/json.h"
#include "extract/page_breaks.h"
#include "library/index.h"
#include "library/snippet.h"

#define LABEL_SEPARATOR '\x1f'

/* A book is as good as its best chunk, and a little better for every doubling of its hits. */
#define BOOK_HITS_BONUS 0.05

static int no_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ELIMIT, "the answer needs more memory than a request may take");
}

void tome_search_job_begin(const struct tome_search_job *const job,
                           struct tome_search_run *const run)
{
    const struct tome_search_request *const request = job->request;
    run->request = request;
    run->arena = job->arena;
    run->has_bound = job->has_cursor;
    run->bound = job->cursor;
    if (job->by_book)
        run->keep = TOME_SEARCH_BOOK_PAGES_MAX;
    else
        run->keep = job->has_cursor ? request->page_size
                                    : (size_t)request->page * request->page_size;
}

/* ---- Picking ---- */

static struct bh_str write_cursor(struct bh_arena *const arena,
                                  const struct tome_candidate *const last, const uint32_t page)
{
    uint64_t bits;
    memcpy(&bits, &last->key, sizeof(bits));
    return bh_str_from(
        bh_arena_printf(arena, "%016" PRIx64 "-%" PRId64 "-%" PRIu32, bits, last->id, page));
}

static int make_room(struct tome_search_job *const job, const size_t hits,
                     struct bh_error *const reterr)
{
    job->candidates = bh_arena_calloc(job->arena, hits + 1, sizeof(*job->candidates));
    job->hits = bh_arena_calloc(job->arena, hits + 1, sizeof(*job->hits));
    job->count = 0;
    return job->candidates == NULL || job->hits == NULL ? no_memory(reterr) : 0;
}

/* The words that count, as the plan has weighed them; those of a phrase share its weight. */
static int list_words(struct tome_search_job *const job, const struct tome_plan *const plan)
{
    struct tome_search_word *const words = bh_arena_calloc(job->arena, TOME_QUERY_WORDS_MAX,
                                                           sizeof(*words));
    size_t count = 0;
    if (words == NULL)
        return BH_ENOMEM;
    for (size_t i = 0; i < plan->leaf_count; i++) {
        const struct tome_leaf *const leaf = &plan->leaves[i];
        const size_t in_term = leaf->term->word_count;
        if (!leaf->is_chunk || leaf->is_negated || leaf->weight <= 0.0)
            continue;
        for (size_t j = 0; j < in_term && count < TOME_QUERY_WORDS_MAX; j++) {
            const struct tome_query_word *const word = &leaf->term->words[j];
            words[count++] = (struct tome_search_word){
                .form = word->form,
                .stems = word->stems,
                .stem_count = word->stem_count,
                .is_prefix = leaf->term->prefix && j + 1 == in_term,
                .weight = leaf->weight / (double)in_term,
            };
        }
    }
    job->answer.chunks.words = words;
    job->answer.chunks.word_count = count;
    return 0;
}

static int pick_chunks(struct tome_search_job *const job, struct tome_search_run *const run,
                       struct bh_error *const reterr)
{
    const struct tome_search_request *const request = job->request;
    const struct tome_scan *const scan = &run->scan;
    const size_t skipped = job->has_cursor ? 0 : run->keep - request->page_size;
    const size_t count = scan->candidate_count > skipped ? scan->candidate_count - skipped : 0;
    const int64_t behind = job->has_cursor ? scan->behind_count
                                           : scan->hit_count - (int64_t)skipped;
    const int result = make_room(job, count, reterr);
    if (result < 0)
        return result;
    job->count = count;
    if (count > 0)
        memcpy(job->candidates, scan->candidates + skipped, count * sizeof(*job->candidates));
    job->answer.chunks = (struct tome_search_answer){
        .match_some = scan->match_some,
        .did_you_mean = run->did_you_mean,
        .hits = job->hits,
        .hit_count = count,
        .total_count = scan->hit_count,
        .total_books = scan->book_count,
        .page = job->page,
        .has_next = behind > (int64_t)count,
    };
    if (request->for_answer && list_words(job, &run->plan) < 0)
        return no_memory(reterr);
    if (behind > (int64_t)count && count > 0 && job->page < UINT32_MAX)
        job->answer.chunks.next_cursor = write_cursor(job->arena, &job->candidates[count - 1],
                                                      job->page + 1);
    return 0;
}

struct ranked_book {
    size_t index; /* among the visible books */
    double score;
};

static int compare_ranked(const void *const a, const void *const b)
{
    const struct ranked_book *const left = a, *const right = b;
    if (left->score > right->score || left->score < right->score)
        return left->score > right->score ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static int rank_books(const struct tome_search_run *const run,
                      struct ranked_book **const ret_ranked, struct bh_error *const reterr)
{
    struct ranked_book *const ranked = calloc((size_t)run->scan.book_count + 1, sizeof(*ranked));
    if (ranked == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a search");
    size_t count = 0;
    for (size_t i = 0; i < run->visible->book_count; i++) {
        const struct tome_scan_book *const book = &run->scan.books[i];
        if (book->hit_count > 0)
            ranked[count++] = (struct ranked_book){
                .index = i,
                .score = (double)book->best_score *
                         (1.0 + BOOK_HITS_BONUS * log2((double)book->hit_count)),
            };
    }
    qsort(ranked, count, sizeof(*ranked), compare_ranked);
    *ret_ranked = ranked;
    return 0;
}

static int compare_ids(const void *const a, const void *const b)
{
    const struct tome_candidate *const left = a, *const right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* The book's best hits, in page order. */
static int pick_book(struct tome_search_job *const job, struct tome_search_run *const run,
                     const struct ranked_book *const ranked, struct bh_error *const reterr)
{
    struct tome_candidate *const best = &job->candidates[job->count];
    size_t count = 0;
    const int result = tome_search_run_best(run, ranked->index, best, TOME_SEARCH_BOOK_PAGES_MAX,
                                            &count, reterr);
    if (result < 0)
        return result;
    qsort(best, count, sizeof(*best), compare_ids);
    job->books[job->book_count++] = (struct tome_search_book){
        .book_id = run->visible->books[ranked->index].id,
        .score = ranked->score,
        .match_count = run->scan.books[ranked->index].hit_count,
        .pages = &job->hits[job->count],
        .page_count = count,
    };
    job->count += count;
    return 0;
}

static int pick_books(struct tome_search_job *const job, struct tome_search_run *const run,
                      struct bh_error *const reterr)
{
    const struct tome_search_request *const request = job->request;
    const size_t total = (size_t)run->scan.book_count;
    const size_t wished = ((size_t)request->page - 1) * request->page_size;
    const size_t first = wished < total ? wished : total;
    const size_t count = total - first < request->page_size ? total - first : request->page_size;
    job->books = bh_arena_calloc(job->arena, count + 1, sizeof(*job->books));
    job->book_count = 0;
    int result = make_room(job, count * TOME_SEARCH_BOOK_PAGES_MAX, reterr);
    if (result == 0 && job->books == NULL)
        result = no_memory(reterr);
    struct ranked_book *ranked = NULL;
    if (result == 0)
        result = rank_books(run, &ranked, reterr);
    for (size_t i = 0; i < count && result == 0; i++)
        result = pick_book(job, run, &ranked[first + i], reterr);
    free(ranked);
    job->answer.by_books = (struct tome_search_books_answer){
        .match_some = run->scan.match_some,
        .did_you_mean = run->did_you_mean,
        .books = job->books,
        .book_count = count,
        .total_books = run->scan.book_count,
        .total_count = run->scan.hit_count,
        .has_next = first + count < total,
    };
    return result;
}

int tome_search_job_pick(struct tome_search_job *const job, struct tome_search_run *const run,
                         struct bh_error *const reterr)
{
    const int result = tome_search_run_do(run, reterr);
    if (result < 0)
        return result;
    return job->by_book ? pick_books(job, run, reterr) : pick_chunks(job, run, reterr);
}

void tome_search_job_ids(const struct tome_search_job *const job, struct bh_buf *const ids)
{
    struct bh_json json;
    bh_json_init(&json, ids);
    bh_json_array_begin(&json);
    for (size_t i = 0; i < job->count; i++)
        bh_json_int(&json, job->candidates[i].id);
    bh_json_array_end(&json);
}

/* ---- Rows ---- */

/* A copy in the arena; data is NULL when there is no room. */
static struct bh_str copy(struct bh_arena *const arena, const struct bh_str text)
{
    const char *const bytes = bh_arena_strdup(arena, text);
    return (struct bh_str){ bytes, bytes != NULL ? text.size : 0 };
}

/* The page's label among "number:label" pieces, else the number. */
static struct bh_str page_label(struct bh_arena *const arena, struct bh_str labels,
                                const int64_t page)
{
    while (labels.size > 0) {
        struct bh_str label = bh_str_split(&labels, LABEL_SEPARATOR);
        int64_t number = 0;
        if (bh_str_to_int64(bh_str_split(&label, ':'), 0, INT64_MAX, &number) == 0 &&
            number == page)
            return copy(arena, label);
    }
    return bh_str_from(bh_arena_printf(arena, "%lld", (long long)page));
}

static int take_details(struct tome_search_run *const run, const struct tome_search_row *const row,
                        struct tome_search_hit *const hit, struct bh_error *const reterr)
{
    struct bh_arena *const arena = run->arena;
    hit->author = copy(arena, row->author);
    hit->source_type = copy(arena, row->source_type);
    hit->page_kind = copy(arena, row->page_kind);
    hit->tags = copy(arena, row->tags);
    hit->metadata = copy(arena, row->metadata);
    hit->chapter = copy(arena, row->chapter);
    hit->content = copy(arena, row->content);
    hit->paragraph = row->paragraph;
    if (hit->content.data == NULL)
        return no_memory(reterr);

    struct tome_snippet snippet;
    if (tome_snippet_make(run->analyzer, row->language, &run->plan, hit->content, arena, &snippet) <
        0)
        return no_memory(reterr);
    hit->snippet = snippet.text;
    hit->highlights = snippet.highlights;
    hit->highlight_count = snippet.highlight_count;
    hit->page_number = tome_page_at((uint32_t)row->page_number, row->page_breaks,
                                    snippet.first_match);
    hit->page_label = page_label(arena, row->labels, hit->page_number);
    if (run->request->for_answer)
        hit->passage = (struct tome_search_passage){
            .language = row->language,
            .page_first = row->page_number,
            .page_breaks = copy(arena, row->page_breaks),
            .page_labels = copy(arena, row->labels),
        };
    return 0;
}

int64_t tome_search_page_at(const struct tome_search_passage *const passage, const size_t at,
                            struct bh_arena *const arena, struct bh_str *const ret_label)
{
    const int64_t page = tome_page_at((uint32_t)passage->page_first, passage->page_breaks, at);
    *ret_label = page_label(arena, passage->page_labels, page);
    return page;
}

int tome_search_job_row(struct tome_search_job *const job, struct tome_search_run *const run,
                        const size_t index, const struct tome_search_row *const row,
                        struct bh_error *const reterr)
{
    const struct tome_candidate *const candidate = &job->candidates[index];
    struct tome_search_hit *const hit = &job->hits[index];
    hit->id = candidate->id;
    hit->book_id = candidate->id >> TOME_ORDINAL_BITS;
    hit->score = (double)candidate->score;
    hit->title = copy(job->arena, row->title);
    return tome_search_job_wants_details(job) ? take_details(run, row, hit, reterr) : 0;
}

void tome_search_job_finish(struct tome_search_job *const job)
{
    for (size_t i = 0; i < job->book_count; i++) {
        struct tome_search_book *const book = &job->books[i];
        const struct tome_search_hit *const first = &book->pages[0];
        if (book->page_count == 0)
            continue;
        book->title = first->title;
        book->author = first->author;
        book->source_type = first->source_type;
        book->page_kind = first->page_kind;
    }
}

int tome_search_job_lost(const struct tome_search_job *const job, const size_t index,
                         struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ECORRUPT,
                        "the search index names chunk %lld, which is not there; rebuild it with "
                        "`tomehub check --rebuild-index`",
                        (long long)job->candidates[index].id);
}
