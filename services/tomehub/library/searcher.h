/*
 * What searches of a process share: the database and, where search is ours rather than the
 * database's, worker threads, analyzers and catalogues. Made before the loops start, destroyed
 * after they have ended; any thread in between.
 *
 * One catalogue is kept for each of the owners that searched last. It is loaded by one search at a
 * time; the others that need it meanwhile wait for it.
 */
#pragma once

#include "library/analysis.h"
#include "library/catalogue.h"
#include "library/search.h"

/* Owners whose catalogues are kept. */
#define TOME_SEARCHER_CATALOGUES_MAX 64

struct bh_db *tome_searcher_db(const struct tome_searcher *searcher);

/* The owner's catalogue, of `generation` at least; the caller unrefs it. BH_ENOTFOUND: there is no
 * such owner. Else as bh_db_query. */
int tome_searcher_catalogue(struct tome_searcher *searcher, int64_t owner_id, int64_t generation,
                            struct tome_catalogue **ret_catalogue,
                            struct bh_error *reterr) BH_MUST_CHECK;

/* Runs `function` on a worker thread with an analyzer, and waits; without a fiber, or with
 * `here`, on this thread. `canceled`: becomes true when nobody wants the result any more; may be
 * NULL. Returns what it returned. BH_EBUSY: too many wait. */
typedef int tome_searcher_function(void *argument, struct tome_analyzer *analyzer,
                                   const atomic_bool *canceled, struct bh_error *reterr);
int tome_searcher_run(struct tome_searcher *searcher, bool here, tome_searcher_function *function,
                      void *argument, struct bh_error *reterr) BH_MUST_CHECK;
