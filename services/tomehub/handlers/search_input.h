/*
 * Reading what a search asks for, from query parameters or from JSON: the fields are the same for
 * searches, searches for books and questions.
 */
#pragma once

#include "handlers/input.h"
#include "library/search.h"

#define TOME_FILTER_VALUES_MAX 100

/* A search request being read, with room for the lists its filters point to. */
struct tome_search_input {
    struct tome_search_request search;
    bool answer; /* an answer is wanted beside the results */
    struct tome_problem problem;
    int64_t book_ids[TOME_FILTER_VALUES_MAX];
    struct bh_str source_types[TOME_FILTER_VALUES_MAX], authors[TOME_FILTER_VALUES_MAX],
        tags[TOME_FILTER_VALUES_MAX];
};

/* In the request's arena; NULL: no memory. `books`: its pages are of books. */
struct tome_search_input *tome_search_input_begin(struct bh_request *request, bool books);

/* Both fill `reading`, or tell its problem and return false. `size_max`: of page_size. What is
 * read lives as long as the request, as the object. */
bool tome_search_input_query(struct bh_request *request, int64_t size_max,
                             struct tome_search_input *reading) BH_MUST_CHECK;
bool tome_search_input_json(const json_t *object, int64_t size_max,
                            struct tome_search_input *reading) BH_MUST_CHECK;
