/*
 * Search on PostgreSQL: postings fetched in one statement, evaluated on a worker thread.
 */
#pragma once

#include "library/search_job.h"
#include "library/searcher.h"

/* Does the whole job. Fiber, or a thread without a loop. */
int tome_search_postgres(struct tome_searcher *searcher, struct tome_search_job *job,
                         struct bh_error *reterr) BH_MUST_CHECK;
