/* What all of the library's repositories share: owners, and how the ids of chunks are made. */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/db/db.h"
#include "library/index.h"

/* The owner of what is done without authentication, and by commands on this machine. */
#define TOME_OWNER_DEFAULT INT64_C(1)

/* So that chunk ids stay below 2^53, exact in every JSON reader. */
#define TOME_BOOK_ID_MAX ((INT64_C(1) << (53 - TOME_ORDINAL_BITS)) - 1)
#define TOME_CHUNK_ID_MAX ((INT64_C(1) << 53) - 1)
#define TOME_JOB_ID_MAX ((INT64_C(1) << 53) - 1)
#define TOME_BOOK_CHUNKS_MAX (1u << TOME_ORDINAL_BITS)

/* The ids of a book's chunks: from first to last, whether or not there are so many. */
static inline int64_t tome_chunk_id_first(const int64_t book_id)
{
    return book_id << TOME_ORDINAL_BITS;
}
static inline int64_t tome_chunk_id_last(const int64_t book_id)
{
    return tome_chunk_id_first(book_id) + TOME_BOOK_CHUNKS_MAX - 1;
}

/* Ends a transaction by what its statements gave: commits on 0, else rolls back. NULL (it did not
 * begin) is fine. Returns the first failure. */
static inline int tome_transaction_end(struct bh_db_transaction *const transaction,
                                       const int result, struct bh_error *const reterr)
{
    if (transaction == NULL)
        return result;
    if (result == 0)
        return bh_db_commit(transaction, reterr);
    bh_db_rollback(transaction);
    return result;
}

/* The arena's limit was reached: what was asked for is too much at once. */
static inline int tome_error_memory(struct bh_error *const reterr)
{
    return bh_error_set(reterr, BH_ENOMEM, "the request needs more memory than it may take");
}
