/*
 * The public calls: what is asked becomes a job, which the database's part does.
 */
#include "library/search.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/search_job.h"
#include "library/search_postgres.h"
#include "library/search_sqlite.h"

/* ---- Cursor: the last hit's key, id and page ---- */

static int parse_cursor(const struct bh_str text, struct tome_search_job *const job)
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
    job->cursor = (struct tome_candidate){ .key = key, .id = id };
    job->has_cursor = true;
    job->page = page;
    return 0;
}

/* ---- Calls ---- */

static int do_job(struct tome_searcher *const searcher, struct tome_search_job *const job,
                  struct bh_error *const reterr)
{
    if (job->request->page == 0 || job->request->page_size == 0)
        return bh_error_set(reterr, BH_EINVAL, "pages are counted from 1 and are not empty");
    struct bh_db *const db = tome_searcher_db(searcher);
    return tome_index_form(db) == TOME_INDEX_POSTINGS ? tome_search_postgres(searcher, job, reterr)
                                                      : tome_search_sqlite(db, job, reterr);
}

int tome_search(struct tome_searcher *const searcher,
                const struct tome_search_request *const request, struct bh_arena *const arena,
                struct tome_search_answer *const ret_answer, struct bh_error *const reterr)
{
    struct tome_search_job job = { .request = request, .arena = arena, .page = request->page };
    if (request->cursor.size > 0 && parse_cursor(request->cursor, &job) < 0)
        return bh_error_set(reterr, BH_EINVAL, "cursor is not one that a search has answered");
    const int result = do_job(searcher, &job, reterr);
    if (result == 0)
        *ret_answer = job.answer.chunks;
    return result;
}

int tome_search_books(struct tome_searcher *const searcher,
                      const struct tome_search_request *const request, struct bh_arena *const arena,
                      struct tome_search_books_answer *const ret_answer,
                      struct bh_error *const reterr)
{
    struct tome_search_request by_relevance = *request;
    by_relevance.sort = TOME_SORT_RELEVANCE;
    struct tome_search_job job = { .request = &by_relevance, .arena = arena, .by_book = true };
    const int result = do_job(searcher, &job, reterr);
    if (result == 0)
        *ret_answer = job.answer.by_books;
    return result;
}
