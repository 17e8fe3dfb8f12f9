/*
 * Search over one owner's library: ranked chunks with excerpts, or books with their best pages.
 *
 * One call sees one state of the library: a book wholly or not at all. The caller has checked
 * ranges (page, page_size, length of the query); the calls are safe for any value. Results live in
 * the caller's arena. Fiber, or a thread without a loop.
 */
#pragma once

#include "bulkhead/base/arena.h"
#include "bulkhead/db/db.h"
#include "library/query.h"

#define TOME_SEARCH_FACET_VALUES_MAX 20
#define TOME_SEARCH_BOOK_PAGES_MAX 5

enum tome_search_sort {
    TOME_SORT_RELEVANCE,
    TOME_SORT_NEWEST, /* newest book first */
    TOME_SORT_TITLE,
    TOME_SORT_PAGE /* book order */
};

/* "any of" within a list, all lists together; an empty list does not filter. */
struct tome_search_filters {
    const int64_t *book_ids;
    size_t book_id_count;
    const struct bh_str *source_types, *authors, *tags; /* compared exactly */
    size_t source_type_count, author_count, tag_count;
};

struct tome_search_request {
    int64_t owner_id;
    struct bh_str query; /* UTF-8 */
    struct tome_search_filters filters;
    enum tome_search_sort sort;
    uint32_t page; /* from 1; ignored with a cursor */
    uint32_t page_size;
    struct bh_str cursor; /* an earlier answer's next_cursor, or empty */
    bool include_details; /* else only id, title, score */
    bool instant;         /* the last word is a prefix */
    bool facets;
    bool for_answer; /* with details also what an answer is made of: passages and words */
};

struct tome_highlight {
    uint32_t start, end; /* code points in the snippet, end excluded */
};

/* What tells on which page of a chunk a sentence stands, and how its words are read. */
struct tome_search_passage {
    enum tome_language language;
    int64_t page_first;
    struct bh_str page_breaks, page_labels; /* as stored, see tome_search_page_at */
};

struct tome_search_hit {
    int64_t id; /* of the chunk */
    int64_t book_id;
    double score;
    struct bh_str title;
    /* the rest only with details */
    struct bh_str content, snippet;
    const struct tome_highlight *highlights;
    size_t highlight_count;
    struct bh_str author, source_type, chapter, page_label, page_kind;
    struct bh_str tags, metadata; /* JSON as stored */
    int64_t page_number, paragraph;
    struct tome_search_passage passage; /* only for an answer */
};

/* A word that was searched. */
struct tome_search_word {
    struct bh_str form;
    const struct tome_query_stem *stems; /* one for each language */
    size_t stem_count;
    bool is_prefix;
    double weight; /* how telling it is; above 0 */
};

struct tome_facet_value {
    int64_t id;          /* facet book_id only */
    struct bh_str label; /* the book's title, the author, the type, the tag */
    int64_t count;       /* hits */
};

struct tome_facet {
    const struct tome_facet_value *values; /* most hits first */
    size_t count;
};

struct tome_search_answer {
    bool match_some;            /* not all words could be demanded */
    struct bh_str did_you_mean; /* empty: nothing to suggest */
    const struct tome_search_hit *hits;
    size_t hit_count;
    int64_t total_count; /* exact */
    int64_t total_books; /* books that hold a hit, exact */
    uint32_t page;       /* as served: a cursor carries its page */
    bool has_next;
    struct bh_str next_cursor; /* empty: none */
    struct tome_facet facet_books, facet_authors, facet_source_types, facet_tags;
    const struct tome_search_word *words; /* only for an answer */
    size_t word_count;
};

struct tome_searcher; /* opaque: what searches of a process share, see searcher.h */

/* Borrows `db`. Before the loops start. */
int tome_searcher_create(struct bh_db *db, struct tome_searcher **ret_searcher,
                         struct bh_error *reterr) BH_MUST_CHECK;
/* No search may be running. NULL is fine. */
void tome_searcher_destroy(struct tome_searcher *searcher);

/* A query in which nothing can be searched finds nothing. BH_EINVAL: the cursor is not one of ours.
 * Else as bh_db_query. */
int tome_search(struct tome_searcher *searcher, const struct tome_search_request *request,
                struct bh_arena *arena, struct tome_search_answer *ret_answer,
                struct bh_error *reterr) BH_MUST_CHECK;

/* The page of a chunk's byte `at`, and its label, in `arena` (data NULL: no room). */
int64_t tome_search_page_at(const struct tome_search_passage *passage, size_t at,
                            struct bh_arena *arena, struct bh_str *ret_label);

struct tome_search_book {
    int64_t book_id;
    struct bh_str title, author, source_type, page_kind;
    double score;
    int64_t match_count;                 /* hits in this book */
    const struct tome_search_hit *pages; /* the best few, in page order, with details */
    size_t page_count;
};

struct tome_search_books_answer {
    bool match_some;
    struct bh_str did_you_mean;
    const struct tome_search_book *books;
    size_t book_count;
    int64_t total_books, total_count; /* exact */
    bool has_next;
};

/* The same over books: page and page_size count books; cursor, facets, sort and include_details are
 * ignored. */
int tome_search_books(struct tome_searcher *searcher, const struct tome_search_request *request,
                      struct bh_arena *arena, struct tome_search_books_answer *ret_answer,
                      struct bh_error *reterr) BH_MUST_CHECK;
