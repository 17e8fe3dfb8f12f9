/* Removing the rows of books nobody sees any more, a batch at a time, so that no writer waits long.
 * */
#include "bulkhead/base/log.h"
#include "ingest/internal.h"

#define PURGE_CHUNKS 256
#define PURGE_ARENA_MAX ((size_t)16 * 1024 * 1024)

/* The index forgets a chunk by the words it was made of: they are analysed once more. */
struct analysis {
    enum tome_index_form form;
    struct tome_analyzer *analyzer;
    enum tome_language language;
    const struct tome_index_chunk *chunks;
    size_t count;
    struct tome_index_batch *index;
    struct bh_error error;
};

/* On a worker thread. */
static int analyse(struct bh_worker_job *const job, void *const argument)
{
    (void)job;
    struct analysis *const analysis = argument;
    return tome_index_prepare(analysis->form, analysis->analyzer, analysis->language,
                              analysis->chunks, analysis->count, &analysis->index,
                              &analysis->error);
}

/* Removes one batch; *ret_count: how many chunks it had. */
static int purge_batch(struct tome_ingest *const ingest, struct tome_analyzer *const analyzer,
                       const struct tome_purge_book *const book, struct bh_arena *const arena,
                       size_t *const ret_count, struct bh_error *const reterr)
{
    struct bh_db *const db = ingest->options.db;
    struct analysis analysis = { .form = tome_index_form(db),
                                 .analyzer = analyzer,
                                 .language = tome_language_from_code(book->language) };
    int result = tome_purge_read(db, book->id, PURGE_CHUNKS, arena, &analysis.chunks,
                                 &analysis.count, reterr);
    if (result == 0 && analysis.count > 0) {
        result = bh_worker_run(ingest->pool, analyse, &analysis, NULL);
        if (result != 0)
            bh_error_set(reterr, result, "cannot analyse the chunks of book %lld: %s",
                         (long long)book->id, bh_error_text(result));
    }
    if (result == 0 && analysis.count > 0)
        result = tome_purge_chunks(db, book, analysis.chunks, analysis.count, analysis.index,
                                   reterr);
    tome_index_batch_destroy(analysis.index);
    if (result == 0) {
        *ret_count = analysis.count;
        bh_metrics_add(ingest->metrics.purged, (int64_t)analysis.count);
    }
    return result;
}

static int purge_book(struct tome_ingest *const ingest, struct tome_analyzer *const analyzer,
                      const struct tome_purge_book *const book, const bool with_book,
                      struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(PURGE_ARENA_MAX, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to purge a book");
    size_t count = 0;
    do {
        if (atomic_load(&ingest->stopping)) /* the next start goes on */
            return bh_error_set(reterr, BH_ECANCELED, "the server is leaving");
        const int result = purge_batch(ingest, analyzer, book, arena, &count, reterr);
        if (result != 0)
            return result;
        bh_arena_reset(arena);
    } while (count > 0);
    return tome_purge_rest(ingest->options.db, book, with_book, reterr);
}

int tome_purge_leftovers(struct tome_ingest *const ingest, struct tome_analyzer *const analyzer,
                         const struct tome_claim *const claim, struct bh_error *const reterr)
{
    const struct tome_purge_book book = { .id = claim->book_id,
                                          .owner_id = claim->owner_id,
                                          .language = claim->language };
    return purge_book(ingest, analyzer, &book, false, reterr);
}

int tome_purge_all(struct tome_ingest *const ingest, struct tome_analyzer *const analyzer,
                   struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(65536, &arena) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory to purge books");
    for (;;) {
        struct tome_purge_book book;
        bh_arena_reset(arena);
        int result = tome_purge_next(ingest->options.db, arena, &book, reterr);
        if (result == 0)
            result = purge_book(ingest, analyzer, &book, true, reterr);
        if (result == BH_ENOTFOUND || result == BH_ECONFLICT) /* none left, or others are at it */
            return 0;
        if (result != 0)
            return result;
    }
}
