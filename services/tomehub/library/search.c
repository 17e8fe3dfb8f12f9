/*
 * The public calls: each is one job on a reader connection, one read transaction, one run.
 */
#include "library/search.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/index.h"
#include "library/search_details.h"
#include "library/search_sqlite.h"

int tome_search_connect(sqlite3 *const connection, const bool writer, void *const argument)
{
    (void)writer;
    (void)argument;
    return tome_scan_register(connection);
}

static int begin(struct bh_sqlite_session *const session, struct bh_error *const reterr)
{
    sqlite3 *const connection = bh_sqlite_handle(session);
    const int result = sqlite3_exec(connection, "BEGIN", NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : bh_sqlite_error(connection, result, "search", reterr);
}

/* Nothing was written: the end of the snapshot cannot lose anything. */
static void end(struct bh_sqlite_session *const session)
{
    sqlite3_exec(bh_sqlite_handle(session), "ROLLBACK", NULL, NULL, NULL);
}

/* ---- Cursor: the last hit's key, id and page ---- */

struct cursor {
    struct tome_candidate last;
    uint32_t page; /* the page that comes behind it */
};

static int parse_cursor(const struct bh_str text, struct cursor *const ret_cursor)
{
    char copy[80];
    if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size) != NULL)
        return BH_EINVAL;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    uint64_t bits = 0;
    int64_t id = 0;
    uint32_t page = 0;
    int size = 0;
    /* NOLINTNEXTLINE(cert-err34-c): each field has a width, and all of the text must be used */
    if (sscanf(copy, "%16" SCNx64 "-%15" SCNd64 "-%10" SCNu32 "%n", &bits, &id, &page, &size) !=
            3 ||
        (size_t)size != text.size || id < 0 || page < 2)
        return BH_EINVAL;
    double key;
    memcpy(&key, &bits, sizeof(key));
    if (!isfinite(key))
        return BH_EINVAL;
    *ret_cursor = (struct cursor){ .last = { .key = key, .id = id }, .page = page };
    return 0;
}

static struct bh_str write_cursor(struct bh_arena *const arena,
                                  const struct tome_candidate *const last, const uint32_t page)
{
    uint64_t bits;
    memcpy(&bits, &last->key, sizeof(bits));
    return bh_str_from(
        bh_arena_printf(arena, "%016" PRIx64 "-%" PRId64 "-%" PRIu32, bits, last->id, page));
}

/* ---- Chunks ---- */

struct search_job {
    const struct tome_search_request *request;
    struct bh_arena *arena;
    struct tome_search_answer *answer;
    struct cursor cursor;
    bool has_cursor;
};

static int fill_answer(const struct search_job *const job, struct tome_search_run *const run,
                       struct bh_error *const reterr)
{
    const struct tome_search_request *const request = job->request;
    struct tome_search_answer *const answer = job->answer;
    const struct tome_scan *const scan = &run->scan;
    const uint32_t page = job->has_cursor ? job->cursor.page : request->page;
    const size_t skipped = job->has_cursor ? 0 : run->keep - request->page_size;
    const size_t count = scan->candidate_count > skipped ? scan->candidate_count - skipped : 0;
    const int64_t behind = job->has_cursor ? scan->behind_count
                                           : scan->hit_count - (int64_t)skipped;
    struct tome_search_hit *const hits = bh_arena_calloc(job->arena, count + 1, sizeof(*hits));
    if (hits == NULL)
        return bh_error_set(reterr, BH_ELIMIT, "no memory for %zu hits", count);
    *answer = (struct tome_search_answer){
        .match_some = scan->match_some,
        .did_you_mean = run->did_you_mean,
        .hits = hits,
        .hit_count = count,
        .total_count = scan->hit_count,
        .total_books = scan->book_count,
        .page = page,
        .has_next = behind > (int64_t)count,
    };
    if (answer->has_next && count > 0 && page < UINT32_MAX)
        answer->next_cursor = write_cursor(job->arena, &scan->candidates[scan->candidate_count - 1],
                                           page + 1);
    const int result = count > 0 ? tome_search_details(run, scan->candidates + skipped, count,
                                                       request->include_details, hits, reterr)
                                 : 0;
    return result == 0 && request->facets ? tome_search_facets(run, answer, reterr) : result;
}

static int search_chunks(struct bh_sqlite_session *const session, void *const argument,
                         struct bh_error *const reterr)
{
    struct search_job *const job = argument;
    const struct tome_search_request *const request = job->request;
    struct tome_search_run run = {
        .session = session,
        .request = request,
        .arena = job->arena,
        .keep = job->has_cursor ? request->page_size : (size_t)request->page * request->page_size,
        .has_bound = job->has_cursor,
        .bound = job->cursor.last,
    };
    int result = begin(session, reterr);
    if (result < 0)
        return result;
    result = tome_search_run_do(&run, reterr);
    if (result == 0)
        result = fill_answer(job, &run, reterr);
    tome_search_run_fini(&run);
    end(session);
    return result;
}

int tome_search(struct bh_db *const db, const struct tome_search_request *const request,
                struct bh_arena *const arena, struct tome_search_answer *const ret_answer,
                struct bh_error *const reterr)
{
    if (request->page == 0 || request->page_size == 0)
        return bh_error_set(reterr, BH_EINVAL, "pages are counted from 1 and are not empty");
    struct tome_search_answer answer = { 0 };
    struct search_job job = { .request = request, .arena = arena, .answer = &answer };
    job.has_cursor = request->cursor.size > 0;
    if (job.has_cursor && parse_cursor(request->cursor, &job.cursor) < 0)
        return bh_error_set(reterr, BH_EINVAL, "cursor is not one that a search has answered");
    const int result = bh_sqlite_run(db, BH_DB_READ, "search", search_chunks, &job, reterr);
    if (result == 0)
        *ret_answer = answer;
    return result;
}

/* ---- Books ---- */

struct books_job {
    const struct tome_search_request *request;
    struct bh_arena *arena;
    struct tome_search_books_answer *answer;
};

struct ranked_book {
    size_t index; /* among the visible books */
    double score;
};

/* A book is as good as its best chunk, and a little better for every doubling of its hits. */
#define BOOK_HITS_BONUS 0.05

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
    for (size_t i = 0; i < run->search->book_count; i++) {
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

static int fill_book(struct tome_search_run *const run, const struct ranked_book *const ranked,
                     struct tome_search_book *const book, struct bh_error *const reterr)
{
    struct tome_candidate best[TOME_SEARCH_BOOK_PAGES_MAX];
    size_t count = 0;
    int result = tome_search_run_best(run, ranked->index, best, BH_COUNT_OF(best), &count, reterr);
    if (result < 0)
        return result;
    qsort(best, count, sizeof(*best), compare_ids);
    struct tome_search_hit *const hits = bh_arena_calloc(run->arena, count + 1, sizeof(*hits));
    if (hits == NULL)
        return bh_error_set(reterr, BH_ELIMIT, "no memory for a book's pages");
    if (count > 0)
        result = tome_search_details(run, best, count, true, hits, reterr);
    *book = (struct tome_search_book){
        .book_id = run->search->books[ranked->index].id,
        .title = hits[0].title,
        .author = hits[0].author,
        .source_type = hits[0].source_type,
        .page_kind = hits[0].page_kind,
        .score = ranked->score,
        .match_count = run->scan.books[ranked->index].hit_count,
        .pages = hits,
        .page_count = count,
    };
    return result;
}

static int fill_books(const struct books_job *const job, struct tome_search_run *const run,
                      struct bh_error *const reterr)
{
    const struct tome_search_request *const request = job->request;
    const size_t total = (size_t)run->scan.book_count;
    const size_t wished = ((size_t)request->page - 1) * request->page_size;
    const size_t first = wished < total ? wished : total;
    const size_t count = total - first < request->page_size ? total - first : request->page_size;
    struct tome_search_book *const books = bh_arena_calloc(job->arena, count + 1, sizeof(*books));
    if (books == NULL)
        return bh_error_set(reterr, BH_ELIMIT, "no memory for %zu books", count);
    *job->answer = (struct tome_search_books_answer){
        .match_some = run->scan.match_some,
        .did_you_mean = run->did_you_mean,
        .books = books,
        .book_count = count,
        .total_books = run->scan.book_count,
        .total_count = run->scan.hit_count,
        .has_next = first + count < total,
    };
    struct ranked_book *ranked = NULL;
    int result = rank_books(run, &ranked, reterr);
    for (size_t i = 0; i < count && result == 0; i++)
        result = fill_book(run, &ranked[first + i], &books[i], reterr);
    free(ranked);
    return result;
}

static int search_books(struct bh_sqlite_session *const session, void *const argument,
                        struct bh_error *const reterr)
{
    const struct books_job *const job = argument;
    struct tome_search_run run = {
        .session = session,
        .request = job->request,
        .arena = job->arena,
        .keep = TOME_SEARCH_BOOK_PAGES_MAX,
    };
    int result = begin(session, reterr);
    if (result < 0)
        return result;
    result = tome_search_run_do(&run, reterr);
    if (result == 0)
        result = fill_books(job, &run, reterr);
    tome_search_run_fini(&run);
    end(session);
    return result;
}

int tome_search_books(struct bh_db *const db, const struct tome_search_request *const request,
                      struct bh_arena *const arena,
                      struct tome_search_books_answer *const ret_answer,
                      struct bh_error *const reterr)
{
    if (request->page == 0 || request->page_size == 0)
        return bh_error_set(reterr, BH_EINVAL, "pages are counted from 1 and are not empty");
    struct tome_search_request by_relevance = *request;
    by_relevance.sort = TOME_SORT_RELEVANCE;
    struct tome_search_books_answer answer = { 0 };
    struct books_job job = { .request = &by_relevance, .arena = arena, .answer = &answer };
    const int result = bh_sqlite_run(db, BH_DB_READ, "search_books", search_books, &job, reterr);
    if (result == 0)
        *ret_answer = answer;
    return result;
}
