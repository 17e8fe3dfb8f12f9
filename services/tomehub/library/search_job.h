/*
 * One search as the steps that are the same for every database: run and pick the hits to show,
 * take their rows, finish the answer. A database's part drives them, each on the thread it chooses.
 */
#pragma once

#include "library/search_run.h"

/* A row of search_details.sql, or with only the title of search_titles.sql. */
struct tome_search_row {
    struct bh_str title, author, source_type, page_kind, tags, metadata, chapter;
    struct bh_str page_breaks, content;
    struct bh_str labels; /* "number:label" of the chunk's pages, by char(31) */
    int64_t page_number, paragraph;
    enum tome_language language;
};

struct tome_search_job {
    const struct tome_search_request *request; /* borrowed, as the arena */
    struct bh_arena *arena;
    bool by_book;
    bool has_cursor;
    struct tome_candidate cursor; /* only hits behind it */
    uint32_t page;                /* that is answered */

    /* Picked: hits to show. */
    struct tome_candidate *candidates;
    struct tome_search_hit *hits;
    size_t count;
    struct tome_search_book *books;
    size_t book_count;

    union {
        struct tome_search_answer chunks;
        struct tome_search_books_answer by_books;
    } answer;
};

/* Fills the run's fields that come from the request. */
void tome_search_job_begin(const struct tome_search_job *job, struct tome_search_run *run);

/* Runs, and picks the hits to show; may be done again after TOME_SEARCH_WANTS. */
int tome_search_job_pick(struct tome_search_job *job, struct tome_search_run *run,
                         struct bh_error *reterr) BH_MUST_CHECK;

static inline bool tome_search_job_wants_details(const struct tome_search_job *const job)
{
    return job->by_book || job->request->include_details;
}

/* The row of the hit at `index`; copied into the arena. */
int tome_search_job_row(struct tome_search_job *job, struct tome_search_run *run, size_t index,
                        const struct tome_search_row *row, struct bh_error *reterr) BH_MUST_CHECK;

/* All rows are taken. Facets, where wanted, are the caller's (search_facets.h). */
void tome_search_job_finish(struct tome_search_job *job);

/* The ids of the picked hits as a JSON array. */
void tome_search_job_ids(const struct tome_search_job *job, struct bh_buf *ids);

/* A chunk the index names is not there. */
int tome_search_job_lost(const struct tome_search_job *job, size_t index, struct bh_error *reterr);
