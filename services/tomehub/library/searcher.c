#include "library/searcher.h"

#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/worker.h"
#include "event.h"
#include "library/index.h"
#include "tomehub_sql.h"

#define SEARCHER_MAGIC UINT32_C(0x746f6d72)
#define JOBS_WAITING_MAX 4096
#define ANALYZERS_KEPT_MAX 64
#define LOAD_BYTES_MAX ((size_t)512 << 20)
#define COLUMN_GENERATION 15 /* of search_catalogue.sql */

struct kept {
    int64_t owner_id;                 /* 0: free */
    struct tome_catalogue *catalogue; /* NULL: not loaded yet */
    uint64_t used;
    bool is_loading;
};

struct tome_searcher {
    BH_MAGIC_FIELD;
    struct bh_db *db;
    bool is_ours;                /* search rests on what follows */
    struct bh_worker_pool *pool; /* only where it is */
    struct tome_event loaded;

    pthread_mutex_t mutex; /* guards the rest */
    struct kept kept[TOME_SEARCHER_CATALOGUES_MAX];
    uint64_t clock;
    struct tome_analyzer *analyzers[ANALYZERS_KEPT_MAX];
    size_t analyzer_count;
};

/* ---- Life ---- */

int tome_searcher_create(struct bh_db *const db, struct tome_searcher **const ret_searcher,
                         struct bh_error *const reterr)
{
    struct tome_searcher *const searcher = calloc(1, sizeof(*searcher));
    if (searcher == NULL)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for search");
    searcher->magic = SEARCHER_MAGIC;
    searcher->db = db;
    searcher->is_ours = tome_index_form(db) == TOME_INDEX_POSTINGS;
    pthread_mutex_init(&searcher->mutex, NULL);
    tome_event_init(&searcher->loaded);
    const int result = searcher->is_ours
                           ? bh_worker_pool_create("search", uv_available_parallelism(),
                                                   JOBS_WAITING_MAX, &searcher->pool)
                           : 0;
    if (result < 0) {
        tome_searcher_destroy(searcher);
        return bh_error_set(reterr, result, "cannot start search's threads: %s",
                            bh_error_text(result));
    }
    *ret_searcher = searcher;
    return 0;
}

void tome_searcher_destroy(struct tome_searcher *const searcher)
{
    if (searcher == NULL)
        return;
    bh_magic_check(searcher, SEARCHER_MAGIC);
    bh_worker_pool_destroy(searcher->pool);
    for (size_t i = 0; i < TOME_SEARCHER_CATALOGUES_MAX; i++)
        tome_catalogue_unref(searcher->kept[i].catalogue);
    for (size_t i = 0; i < searcher->analyzer_count; i++)
        tome_analyzer_destroy(searcher->analyzers[i]);
    tome_event_fini(&searcher->loaded);
    pthread_mutex_destroy(&searcher->mutex);
    searcher->magic = 0;
    free(searcher);
}

struct bh_db *tome_searcher_db(const struct tome_searcher *const searcher)
{
    return searcher->db;
}

/* ---- Threads ---- */

static struct tome_analyzer *take_analyzer(struct tome_searcher *const searcher)
{
    struct tome_analyzer *analyzer = NULL;
    pthread_mutex_lock(&searcher->mutex);
    if (searcher->analyzer_count > 0)
        analyzer = searcher->analyzers[--searcher->analyzer_count];
    pthread_mutex_unlock(&searcher->mutex);
    if (analyzer == NULL && tome_analyzer_create(&analyzer) < 0)
        return NULL;
    return analyzer;
}

static void give_analyzer(struct tome_searcher *const searcher,
                          struct tome_analyzer *const analyzer)
{
    pthread_mutex_lock(&searcher->mutex);
    const bool is_kept = searcher->analyzer_count < ANALYZERS_KEPT_MAX;
    if (is_kept)
        searcher->analyzers[searcher->analyzer_count++] = analyzer;
    pthread_mutex_unlock(&searcher->mutex);
    if (!is_kept)
        tome_analyzer_destroy(analyzer);
}

struct call {
    struct tome_searcher *searcher;
    tome_searcher_function *function;
    void *argument;
    bool was_run;
    struct bh_error error;
};

static int run_call(struct bh_worker_job *const job, void *const argument)
{
    struct call *const call = argument;
    call->was_run = true;
    struct tome_analyzer *const analyzer = take_analyzer(call->searcher);
    if (analyzer == NULL)
        return bh_error_set(&call->error, BH_ENOMEM, "no memory for a search");
    const int result = call->function(call->argument, analyzer, job != NULL ? &job->canceled : NULL,
                                      &call->error);
    give_analyzer(call->searcher, analyzer);
    return result;
}

int tome_searcher_run(struct tome_searcher *const searcher, const bool here,
                      tome_searcher_function *const function, void *const argument,
                      struct bh_error *const reterr)
{
    struct call call = { .searcher = searcher, .function = function, .argument = argument };
    const bool is_here = here || bh_fiber_current() == NULL;
    int result = is_here ? run_call(NULL, &call)
                         : bh_worker_run(searcher->pool, run_call, &call, NULL);
    if (result == 0)
        return 0;
    if (!call.was_run) {
        result = result == BH_ELIMIT ? BH_EBUSY : result;
        return bh_error_set(reterr, result, "search: %s",
                            result == BH_EBUSY ? "too many searches wait for a thread"
                                               : bh_error_text(result));
    }
    if (reterr != NULL)
        *reterr = call.error;
    return result;
}

/* ---- Catalogues ---- */

struct loading {
    int64_t owner_id;
    struct bh_db_rows books, lengths;
    struct tome_catalogue *catalogue;
};

static int make_catalogue(void *const argument, struct tome_analyzer *const analyzer,
                          const atomic_bool *const canceled, struct bh_error *const reterr)
{
    struct loading *const loading = argument;
    (void)analyzer;
    (void)canceled;
    const int64_t generation = bh_db_int_at(&loading->books, 0, COLUMN_GENERATION);
    if (bh_db_is_null_at(&loading->books, 0, 0))
        loading->books.row_count = 0; /* the row was there for the generation */
    return tome_catalogue_create(loading->owner_id, generation, &loading->books, &loading->lengths,
                                 &loading->catalogue, reterr);
}

static int load(struct tome_searcher *const searcher, const int64_t owner_id,
                struct tome_catalogue **const ret_catalogue, struct bh_error *const reterr)
{
    struct bh_arena *arena BH_CLEANUP(bh_arena_destroy_cleanup) = NULL;
    struct loading loading = { .owner_id = owner_id };
    const struct bh_db_value owner = bh_db_int(owner_id);
    if (bh_arena_create(LOAD_BYTES_MAX, &arena) < 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a catalogue");
    int result = bh_db_query(searcher->db, BH_DB_READ, &TOME_SQL_SEARCH_CATALOGUE, &owner, 1, arena,
                             &loading.books, reterr);
    if (result == 0 && loading.books.row_count == 0)
        result = bh_error_set(reterr, BH_ENOTFOUND, "there is no owner %lld", (long long)owner_id);
    if (result == 0)
        result = bh_db_query(searcher->db, BH_DB_READ, &TOME_SQL_SEARCH_LENGTHS_OF, &owner, 1,
                             arena, &loading.lengths, reterr);
    if (result == 0)
        result = tome_searcher_run(searcher, false, make_catalogue, &loading, reterr);
    if (result == 0)
        *ret_catalogue = loading.catalogue;
    return result;
}

/* The owner's place, or one to be had: a free one, or the one unused for longest. NULL: all are
 * being loaded. Under the mutex. */
static struct kept *find_kept(struct tome_searcher *const searcher, const int64_t owner_id)
{
    struct kept *oldest = NULL;
    for (size_t i = 0; i < TOME_SEARCHER_CATALOGUES_MAX; i++) {
        struct kept *const kept = &searcher->kept[i];
        if (kept->owner_id == owner_id)
            return kept;
        if (!kept->is_loading && (oldest == NULL || kept->used < oldest->used))
            oldest = kept;
    }
    if (oldest == NULL)
        return NULL;
    tome_catalogue_unref(oldest->catalogue);
    *oldest = (struct kept){ .owner_id = owner_id };
    return oldest;
}

enum look { LOOK_FOUND, LOOK_WAIT, LOOK_LOAD };

/* What is to be done for the catalogue; LOOK_LOAD: by the caller, who then calls put. */
static enum look look(struct tome_searcher *const searcher, const int64_t owner_id,
                      const int64_t generation, uint64_t *const ret_seen,
                      struct tome_catalogue **const ret_catalogue)
{
    enum look result = LOOK_LOAD;
    *ret_seen = tome_event_count(&searcher->loaded);
    pthread_mutex_lock(&searcher->mutex);
    struct kept *const kept = find_kept(searcher, owner_id);
    if (kept != NULL) {
        kept->used = ++searcher->clock;
        if (kept->catalogue != NULL && kept->catalogue->generation >= generation) {
            *ret_catalogue = tome_catalogue_ref(kept->catalogue);
            result = LOOK_FOUND;
        } else if (kept->is_loading && bh_fiber_current() != NULL) {
            result = LOOK_WAIT;
        } else {
            kept->is_loading = true;
        }
    }
    pthread_mutex_unlock(&searcher->mutex);
    return result;
}

/* `catalogue`: NULL if loading failed. */
static void put(struct tome_searcher *const searcher, const int64_t owner_id,
                struct tome_catalogue *const catalogue)
{
    struct tome_catalogue *replaced = NULL;
    pthread_mutex_lock(&searcher->mutex);
    for (size_t i = 0; i < TOME_SEARCHER_CATALOGUES_MAX; i++) {
        struct kept *const kept = &searcher->kept[i];
        if (kept->owner_id != owner_id)
            continue;
        kept->is_loading = false;
        if (catalogue != NULL) {
            replaced = kept->catalogue;
            kept->catalogue = tome_catalogue_ref(catalogue);
        }
    }
    pthread_mutex_unlock(&searcher->mutex);
    tome_catalogue_unref(replaced);
    tome_event_raise(&searcher->loaded);
}

int tome_searcher_catalogue(struct tome_searcher *const searcher, const int64_t owner_id,
                            const int64_t generation, struct tome_catalogue **const ret_catalogue,
                            struct bh_error *const reterr)
{
    for (;;) {
        uint64_t seen = 0;
        const enum look what = look(searcher, owner_id, generation, &seen, ret_catalogue);
        if (what == LOOK_FOUND)
            return 0;
        if (what == LOOK_LOAD) {
            struct tome_catalogue *catalogue = NULL;
            const int result = load(searcher, owner_id, &catalogue, reterr);
            put(searcher, owner_id, catalogue);
            if (result == 0)
                *ret_catalogue = catalogue;
            return result;
        }
        const int result = tome_event_wait(&searcher->loaded, seen, BH_NEVER_US);
        if (result != 0)
            return bh_error_set(reterr, result, "search: %s", bh_error_text(result));
    }
}
