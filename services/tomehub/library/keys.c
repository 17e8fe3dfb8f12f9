#include "library/keys.h"

#include "bulkhead/base/time.h"
#include "tomehub_sql.h"

#define ROWS_AT_ONCE 1000
#define ARENA_BYTES_MAX ((size_t)1 << 20)

/* ---- Changes ---- */

/* The number of the change that `transaction` is about to make. */
static int next_change(struct bh_db_transaction *const transaction, struct bh_arena *const arena,
                       int64_t *const ret_change, struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_KEY_CHANGE, NULL, 0, arena,
                                               &rows, reterr);
    if (result == 0 && rows.row_count == 0)
        return bh_error_set(reterr, BH_ECORRUPT, "the table key_changes has lost its row");
    if (result == 0)
        *ret_change = bh_db_int_at(&rows, 0, 0);
    return result;
}

static int check_count(struct bh_db_transaction *const transaction, struct bh_arena *const arena,
                       struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_transaction_query(transaction, &TOME_SQL_KEYS_COUNT, NULL, 0, arena,
                                               &rows, reterr);
    if (result == 0 && bh_db_int_at(&rows, 0, 0) >= TOME_KEYS_MAX)
        return bh_error_set(reterr, BH_ELIMIT, "there are %d keys already, the most there may be",
                            TOME_KEYS_MAX);
    return result;
}

static int insert(struct bh_db_transaction *const transaction, struct bh_arena *const arena,
                  const struct tome_key_wish *const wish, const struct bh_auth_new_key *const key,
                  struct bh_error *const reterr)
{
    int64_t change = 0;
    int result = next_change(transaction, arena, &change, reterr);
    if (result == 0)
        result = check_count(transaction, arena, reterr);
    if (result != 0)
        return result;
    const struct bh_db_value parameters[] = {
        bh_db_text(bh_str_from(key->id)),
        bh_db_int(wish->owner_id),
        bh_db_text(wish->name),
        bh_db_int(wish->scopes),
        bh_db_blob((struct bh_str){ (const char *)key->hash, sizeof(key->hash) }),
        bh_db_int(bh_time_wall_us()),
        wish->expires_us != 0 ? bh_db_int(wish->expires_us) : bh_db_null(),
        bh_db_int(change),
    };
    return bh_db_transaction_query(transaction, &TOME_SQL_KEY_ADD, parameters,
                                   BH_COUNT_OF(parameters), NULL, NULL, reterr);
}

int tome_keys_create(struct bh_db *const db, const struct tome_key_wish *const wish,
                     struct bh_auth_new_key *const ret_key, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    struct bh_db_transaction *transaction = NULL;
    struct bh_auth_new_key key;
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return tome_error_memory(reterr);
    int result = bh_auth_key_make(&key);
    if (result != 0)
        return bh_error_set(reterr, result, "the system gives no random bytes for a key");
    result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = insert(transaction, arena, wish, &key, reterr);
    result = tome_transaction_end(transaction, result, reterr);
    if (result == 0)
        *ret_key = key;
    bh_auth_key_wipe(&key);
    return result;
}

static int revoke(struct bh_db_transaction *const transaction, struct bh_arena *const arena,
                  const struct bh_str id, struct bh_error *const reterr)
{
    int64_t change = 0;
    int result = next_change(transaction, arena, &change, reterr);
    if (result != 0)
        return result;
    const struct bh_db_value parameters[] = { bh_db_text(id), bh_db_int(bh_time_wall_us()),
                                              bh_db_int(change) };
    struct bh_db_rows rows;
    result = bh_db_transaction_query(transaction, &TOME_SQL_KEY_REVOKE, parameters,
                                     BH_COUNT_OF(parameters), arena, &rows, reterr);
    if (result == 0 && rows.changes == 0)
        return bh_error_set(reterr, BH_ENOTFOUND, "there is no key %.*s that is not revoked",
                            BH_STR_ARGS(id));
    return result;
}

int tome_keys_revoke(struct bh_db *const db, const struct bh_str id, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    struct bh_db_transaction *transaction = NULL;
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return tome_error_memory(reterr);
    int result = bh_db_begin(db, BH_DB_WRITE, &transaction, reterr);
    if (result == 0)
        result = revoke(transaction, arena, id, reterr);
    return tome_transaction_end(transaction, result, reterr);
}

/* ---- Reading ---- */

int tome_keys_list(struct bh_db *const db, struct bh_arena *const arena,
                   struct tome_keys *const ret_keys, struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_KEYS_LIST, NULL, 0, arena, &rows,
                                   reterr);
    if (result != 0)
        return result;
    struct tome_key *const keys = bh_arena_calloc(arena, rows.row_count + 1, sizeof(*keys));
    if (keys == NULL)
        return tome_error_memory(reterr);
    for (size_t row = 0; row < rows.row_count; row++)
        keys[row] = (struct tome_key){ .id = bh_db_text_at(&rows, row, 0),
                                       .name = bh_db_text_at(&rows, row, 1),
                                       .scopes = (unsigned)bh_db_int_at(&rows, row, 2),
                                       .created_us = bh_db_int_at(&rows, row, 3),
                                       .expires_us = bh_db_int_at(&rows, row, 4),
                                       .revoked_us = bh_db_int_at(&rows, row, 5),
                                       .user = bh_db_text_at(&rows, row, 6) };
    *ret_keys = (struct tome_keys){ .keys = keys, .count = rows.row_count };
    return 0;
}

static int put(struct bh_auth *const auth, const struct bh_db_rows *const rows, int64_t *const last,
               struct bh_error *const reterr)
{
    for (size_t row = 0; row < rows->row_count; row++) {
        const struct bh_auth_key key = {
            .id = bh_db_text_at(rows, row, 0),
            .user = bh_db_int_at(rows, row, 1),
            .scopes = (unsigned)bh_db_int_at(rows, row, 2),
            .hash = bh_db_text_at(rows, row, 3),
            .expires_us = bh_db_int_at(rows, row, 4),
            .is_revoked = !bh_db_is_null_at(rows, row, 5),
        };
        const int result = bh_auth_put_key(auth, &key, reterr);
        if (result != 0)
            return result;
        *last = bh_db_int_at(rows, row, 6);
    }
    return 0;
}

int tome_keys_load(struct bh_db *const db, struct bh_auth *const auth, int64_t *const last,
                   struct bh_error *const reterr)
{
    /* A replica may not know yet what was revoked. */
    const bool is_postgres = bh_str_equal(bh_str_from(bh_db_backend(db)), BH_STR("postgresql"));
    const enum bh_db_lane lane = is_postgres ? BH_DB_WRITE : BH_DB_READ;
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return tome_error_memory(reterr);
    for (;;) {
        const struct bh_db_value parameters[] = { bh_db_int(*last), bh_db_int(ROWS_AT_ONCE) };
        struct bh_db_rows rows;
        bh_arena_reset(arena);
        int result = bh_db_query(db, lane, &TOME_SQL_KEYS_CHANGED, parameters,
                                 BH_COUNT_OF(parameters), arena, &rows, reterr);
        if (result == 0)
            result = put(auth, &rows, last, reterr);
        if (result != 0 || rows.row_count < ROWS_AT_ONCE)
            return result;
    }
}
