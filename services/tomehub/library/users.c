#include "library/users.h"

#include "tomehub_sql.h"

#define ARENA_BYTES_MAX 65536
#define TRIES_MAX 16
#define NAMES_MAX 5 /* told when there is no such user */
#define NAMES_BYTES_MAX 120

static bool is_fit(const struct bh_str identity)
{
    bool is_good = identity.size > 0 && identity.size <= TOME_IDENTITY_MAX &&
                   bh_str_is_utf8(identity);
    for (size_t i = 0; is_good && i < identity.size; i++)
        is_good = (unsigned char)identity.data[i] >= ' ' && identity.data[i] != 0x7F;
    return is_good;
}

/* BH_ENOTFOUND without a message. */
static int find(struct bh_db *const db, const struct bh_str identity, struct bh_arena *const arena,
                int64_t *const ret_owner_id, struct bh_error *const reterr)
{
    const struct bh_db_value parameter = bh_db_text(identity);
    struct bh_db_rows rows;
    if (!is_fit(identity))
        return bh_error_set(reterr, BH_EINVAL,
                            "a user's name has 1 to %d bytes of text without control characters",
                            TOME_IDENTITY_MAX);
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_OWNER_FIND, &parameter, 1, arena,
                                   &rows, reterr);
    if (result != 0)
        return result;
    if (rows.row_count == 0)
        return BH_ENOTFOUND;
    *ret_owner_id = bh_db_int_at(&rows, 0, 0);
    return 0;
}

int tome_users_find(struct bh_db *const db, const struct bh_str identity,
                    int64_t *const ret_owner_id, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    const struct bh_db_value parameter = bh_db_text(identity);
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return tome_error_memory(reterr);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        int result = find(db, identity, arena, ret_owner_id, reterr);
        if (result == BH_ENOTFOUND)
            result = bh_db_query(db, BH_DB_WRITE, &TOME_SQL_OWNER_ADD, &parameter, 1, NULL, NULL,
                                 reterr);
        else
            return result;
        if (result != 0)
            return result;
    }
    return bh_error_set(reterr, BH_EUNAVAILABLE, "too many new users at once");
}

/* "there are ann, bob, …": as many as fit. */
static int refuse_unknown(struct bh_db *const db, const struct bh_str identity,
                          struct bh_arena *const arena, struct bh_error *const reterr)
{
    const struct bh_db_value limit = bh_db_int(NAMES_MAX + 1);
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) names;
    struct bh_db_rows rows;
    bh_buf_init(&names, NAMES_MAX * (TOME_IDENTITY_MAX + 2));
    const int result = bh_db_query(db, BH_DB_READ, &TOME_SQL_OWNERS_NAMED, &limit, 1, arena, &rows,
                                   reterr);
    if (result != 0)
        return result;
    size_t told = 0;
    for (; told < rows.row_count && told < NAMES_MAX && names.size < NAMES_BYTES_MAX; told++)
        bh_buf_printf(&names, "%s%.*s", told > 0 ? ", " : "",
                      BH_STR_ARGS(bh_db_text_at(&rows, told, 0)));
    return bh_error_set(reterr, BH_ENOTFOUND, "there is no user \"%.*s\"; there %s%.*s%s",
                        BH_STR_ARGS(identity), told > 0 ? "are " : "are none yet",
                        BH_STR_ARGS(bh_buf_peek(&names)), told < rows.row_count ? ", …" : "");
}

int tome_users_look_up(struct bh_db *const db, const struct bh_str identity,
                       int64_t *const ret_owner_id, struct bh_error *const reterr)
{
    struct bh_arena *BH_CLEANUP(bh_arena_destroy_cleanup) arena = NULL;
    if (bh_arena_create(ARENA_BYTES_MAX, &arena) != 0)
        return tome_error_memory(reterr);
    const int result = find(db, identity, arena, ret_owner_id, reterr);
    return result == BH_ENOTFOUND ? refuse_unknown(db, identity, arena, reterr) : result;
}
