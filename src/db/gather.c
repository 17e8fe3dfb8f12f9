/*
 * The first to look something up in a turn of its loop leads: it lets the turn's other fibers run,
 * then asks for all who have joined meanwhile. Gathers and calls stand on their fibers' stacks, and
 * all of them are of one loop's thread, so nothing is locked.
 */
#include "bulkhead/db/gather.h"

#include <string.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/loop/fiber.h"
#include "bulkhead/loop/standing.h"

#define KEYS_BYTES_MAX (2 + 21 * (size_t)BH_DB_GATHER_KEYS)
#define OPEN_MAX 8 /* gathers that may be joined at a time; the oldest is closed for one more */

enum call_state { WAITING, ANSWERED, ALONE /* runs a statement of its own */ };

struct call {
    struct bh_list node; /* in its gather, while it waits */
    struct bh_fiber *fiber;
    struct bh_arena *arena;
    int64_t key;
    enum call_state state;
    int result; /* of what it was answered */
    struct bh_db_rows rows;
    struct bh_error error;
};

struct gather {
    struct bh_db *db;
    const struct bh_db_lookup *lookup;
    int64_t scope;
    struct bh_fiber_standing standing;
    struct bh_list calls; /* those who joined and still wait */
    unsigned key_count;
    int64_t keys[BH_DB_GATHER_KEYS]; /* the leader's first */
};

static _Thread_local struct {
    struct gather *gathers[OPEN_MAX];
    unsigned next; /* the place to be taken next */
} joinable;

/* ---- Statements ---- */

static int run_one(struct bh_db *const db, const struct bh_db_lookup *const lookup,
                   const int64_t scope, const int64_t key, struct bh_arena *const arena,
                   struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    const struct bh_db_value parameters[] = { bh_db_int(scope), bh_db_int(key) };
    return bh_db_query(db, BH_DB_READ, lookup->one, parameters, BH_COUNT_OF(parameters), arena,
                       ret_rows, reterr);
}

static int run_some(const struct gather *const gather, struct bh_arena *const arena,
                    struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    struct bh_buf BH_CLEANUP(bh_buf_fini_cleanup) keys;
    bh_buf_init(&keys, KEYS_BYTES_MAX);
    for (unsigned i = 0; i < gather->key_count; i++) {
        bh_buf_append_byte(&keys, i == 0 ? '[' : ',');
        bh_buf_append_int(&keys, gather->keys[i]);
    }
    bh_buf_append_byte(&keys, ']');
    if (bh_buf_error(&keys) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a list of keys");
    const struct bh_db_value parameters[] = { bh_db_int(gather->scope),
                                              bh_db_text(bh_buf_peek(&keys)) };
    return bh_db_query(gather->db, BH_DB_READ, gather->lookup->some, parameters,
                       BH_COUNT_OF(parameters), arena, ret_rows, reterr);
}

/* ---- Rows ---- */

/* The part of `rows` that is the key's: one row or none. */
static struct bh_db_rows rows_of(const struct bh_db_rows *const rows, const int64_t key)
{
    struct bh_db_rows found = { .column_count = rows->column_count };
    for (size_t row = 0; row < rows->row_count && found.row_count == 0; row++) {
        if (bh_db_int_at(rows, row, 0) != key)
            continue;
        found.row_count = 1;
        found.values = bh_db_at(rows, row, 0);
    }
    return found;
}

static bool has_text(const struct bh_db_value *const value)
{
    return (value->type == BH_DB_TEXT || value->type == BH_DB_BLOB) && value->text.data != NULL;
}

/* Copies a row with its texts, as one block. */
static int copy_row(const struct bh_db_rows *const rows, struct bh_arena *const arena,
                    struct bh_db_rows *const ret_rows)
{
    const size_t values_size = rows->column_count * sizeof(*rows->values);
    size_t size = values_size;
    for (size_t i = 0; i < rows->column_count; i++)
        size += has_text(&rows->values[i]) ? rows->values[i].text.size : 0;
    struct bh_db_value *const values = bh_arena_alloc(arena, size);
    if (values == NULL)
        return BH_ELIMIT;
    memcpy(values, rows->values, values_size);
    char *text = (char *)values + values_size;
    for (size_t i = 0; i < rows->column_count; i++) {
        if (!has_text(&values[i]))
            continue;
        memcpy(text, values[i].text.data, values[i].text.size);
        values[i].text.data = text;
        text += values[i].text.size;
    }
    *ret_rows = *rows;
    ret_rows->values = values;
    return 0;
}

/* ---- Leading ---- */

/* Whether the others would have failed too. */
static bool is_shared_failure(const int result)
{
    return result != BH_ECANCELED && result != BH_ETIMEDOUT && result != BH_ELIMIT &&
           result != BH_ENOMEM;
}

static void answer(struct call *const call, const int result, const struct bh_db_rows *const rows,
                   const struct bh_error *const error)
{
    call->state = result == 0 || is_shared_failure(result) ? ANSWERED : ALONE;
    call->result = result;
    if (result == 0) {
        const struct bh_db_rows found = rows_of(rows, call->key);
        call->rows = found;
        if (found.row_count > 0 && copy_row(&found, call->arena, &call->rows) != 0)
            call->result = bh_error_set(&call->error, BH_ELIMIT,
                                        "the row does not fit the request's memory");
    } else {
        call->error = *error;
    }
    bh_fiber_wake(call->fiber);
}

static void open_gather(struct gather *const gather)
{
    joinable.gathers[joinable.next] = gather;
    joinable.next = (joinable.next + 1) % OPEN_MAX;
}

static void close_gather(const struct gather *const gather)
{
    for (unsigned i = 0; i < OPEN_MAX; i++)
        if (joinable.gathers[i] == gather)
            joinable.gathers[i] = NULL;
}

static int lead(struct gather *const gather, struct bh_arena *const arena,
                struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    struct bh_db_rows rows;
    struct bh_error error;
    open_gather(gather);
    bh_fiber_yield();
    close_gather(gather);
    if (gather->key_count == 1)
        return run_one(gather->db, gather->lookup, gather->scope, gather->keys[0], arena, ret_rows,
                       reterr);
    const int result = run_some(gather, arena, &rows, &error);
    for (struct bh_list *node; (node = bh_list_pop(&gather->calls)) != NULL;)
        answer(BH_LIST_ENTRY(node, struct call, node), result, &rows, &error);
    if (result == 0)
        *ret_rows = rows_of(&rows, gather->keys[0]);
    else if (reterr != NULL)
        *reterr = error;
    return result;
}

/* ---- Joining ---- */

static struct gather *find_gather(const struct bh_db *const db,
                                  const struct bh_db_lookup *const lookup, const int64_t scope,
                                  const struct bh_fiber_standing standing)
{
    for (unsigned i = 0; i < OPEN_MAX; i++) {
        struct gather *const gather = joinable.gathers[i];
        if (gather != NULL && gather->db == db && gather->lookup == lookup &&
            gather->scope == scope && gather->standing.priority == standing.priority &&
            gather->standing.tenant == standing.tenant && gather->key_count < BH_DB_GATHER_KEYS)
            return gather;
    }
    return NULL;
}

static void join(struct gather *const gather, struct call *const call)
{
    gather->keys[gather->key_count++] = call->key;
    bh_list_append(&gather->calls, &call->node);
}

/* Until the leader has answered. Else an error: this fiber's own. */
static int wait_for_answer(struct call *const call, struct bh_error *const reterr)
{
    while (call->state == WAITING) {
        const int result = bh_fiber_park();
        if (result == 0 || call->state != WAITING)
            continue;
        bh_list_unlink(&call->node);
        return bh_error_set(reterr, result, "while rows are read: %s", bh_error_text(result));
    }
    return 0;
}

/* ---- The call ---- */

int bh_db_look_up(struct bh_db *const db, const struct bh_db_lookup *const lookup,
                  const int64_t scope, const int64_t key, struct bh_arena *const arena,
                  struct bh_db_rows *const ret_rows, struct bh_error *const reterr)
{
    if (bh_fiber_current() == NULL)
        return run_one(db, lookup, scope, key, arena, ret_rows, reterr);
    const struct bh_fiber_standing standing = bh_fiber_standing();
    struct gather *const found = find_gather(db, lookup, scope, standing);
    if (found == NULL) {
        struct gather gather = { .db = db,
                                 .lookup = lookup,
                                 .scope = scope,
                                 .standing = standing,
                                 .key_count = 1,
                                 .keys = { key } };
        bh_list_init(&gather.calls);
        return lead(&gather, arena, ret_rows, reterr);
    }
    struct call call = { .fiber = bh_fiber_current(), .arena = arena, .key = key };
    join(found, &call);
    const int result = wait_for_answer(&call, reterr);
    if (result != 0)
        return result;
    if (call.state == ALONE)
        return run_one(db, lookup, scope, key, arena, ret_rows, reterr);
    *ret_rows = call.rows;
    if (call.result != 0 && reterr != NULL)
        *reterr = call.error;
    return call.result;
}
