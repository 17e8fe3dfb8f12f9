#include "library/users.h"

#include "tomehub_sql.h"

#define ARENA_BYTES_MAX 4096
#define TRIES_MAX 16

static bool is_fit(const struct bh_str identity)
{
    bool is_good = identity.size > 0 && identity.size <= TOME_IDENTITY_MAX &&
                   bh_str_is_utf8(identity);
    for (size_t i = 0; is_good && i < identity.size; i++)
        is_good = (unsigned char)identity.data[i] >= ' ' && identity.data[i] != 0x7F;
    return is_good;
}

int tome_users_find(struct bh_db *const db, const struct bh_str identity,
                    int64_t *const ret_owner_id, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    const struct bh_db_value parameter = bh_db_text(identity);
    if (!is_fit(identity))
        return bh_error_set(reterr, BH_EINVAL,
                            "a user's name has 1 to %d bytes of text without control characters",
                            TOME_IDENTITY_MAX);
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return tome_error_memory(reterr);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        struct bh_db_rows rows;
        int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_OWNER_FIND, &parameter, 1, arena, &rows,
                                 reterr);
        if (result != 0)
            return result;
        if (rows.row_count > 0) {
            *ret_owner_id = bh_db_int_at(&rows, 0, 0);
            return 0;
        }
        result = bh_db_query(db, BH_DB_WRITE, &TOME_SQL_OWNER_ADD, &parameter, 1, NULL, NULL,
                             reterr);
        if (result != 0)
            return result;
    }
    return bh_error_set(reterr, BH_EUNAVAILABLE, "too many new users at once");
}
