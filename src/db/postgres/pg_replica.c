#include "db/postgres/pg_replica.h"

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/postgres/pg_call.h"

#define PAUSE_US (50 * BH_MS_US)
#define ASK_TIMEOUT_US BH_SECOND_US
#define ARENA_BYTES 4096

static const struct bh_statement primary_position = {
    .name = "replica_primary",
    .postgres = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint",
    .index = UINT32_MAX,
};
/* NULL from a server that is no replica (any more). */
static const struct bh_statement replica_position = {
    .name = "replica_position",
    .postgres = "SELECT CASE WHEN pg_is_in_recovery()"
                " THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END",
    .index = UINT32_MAX,
};

static int ask(const struct bh_pg_replica *const replica, const enum bh_pg_pool which,
               const struct bh_statement *const statement, struct bh_arena *const arena,
               int64_t *const ret_position)
{
    struct bh_pool_loop *pool;
    struct bh_pg_call call;
    bh_arena_reset(arena);
    bh_pg_call_init(&call, statement, NULL, 0, arena, NULL);
    int code = bh_pg_shards_pool(replica->shards, which, &pool, NULL);
    if (!code)
        code = bh_pg_call_alone(pool, 0, &call, NULL);
    if (code)
        return code;
    if (call.rows.row_count != 1 || call.rows.values[0].type != BH_DB_INT)
        return BH_EUNAVAILABLE;
    *ret_position = call.rows.values[0].integer;
    return 0;
}

/* Its connections are to the next one from here on; nothing is known of that yet. */
static void take_next(struct bh_pg_replica *const replica)
{
    const struct bh_pg_config *const config = replica->shards->configs[BH_PG_REPLICA];
    const uint64_t now_us = bh_time_now_us();
    if (config->host_count < 2 || now_us - replica->turned_us < BH_PG_REPLICA_LAG_US)
        return;
    replica->turned_us = now_us;
    atomic_store(&replica->replicated_us, 0);
    atomic_fetch_add(&config->host->turn, 1);
    bh_pool_evict(replica->shards->pools[BH_PG_REPLICA]);
    bh_log_info("db", "the replica fails or stays behind; trying the next of %u",
                config->host_count);
}

static void look(struct bh_pg_replica *const replica, struct bh_arena *const arena)
{
    const uint64_t asked_us = bh_time_now_us();
    const unsigned turn = bh_pg_replica_turn(replica);
    int64_t written, replayed = 0;
    if (atomic_load(&replica->known_turn) != turn) { /* of another server */
        atomic_store(&replica->replicated_us, 0);
        atomic_store(&replica->known_turn, turn);
    }
    if (ask(replica, BH_PG_READ, &primary_position, arena, &written) != 0 ||
        ask(replica, BH_PG_REPLICA, &replica_position, arena, &replayed) != 0)
        atomic_store(&replica->replicated_us, 0);
    else if (replayed >= written && bh_pg_replica_turn(replica) == turn)
        atomic_store(&replica->replicated_us, asked_us);
    const uint64_t known_us = atomic_load(&replica->replicated_us);
    const bool is_behind = bh_time_now_us() - known_us > BH_PG_REPLICA_LAG_US;
    if (is_behind)
        take_next(replica);
    if (is_behind != replica->is_told) {
        replica->is_told = is_behind;
        if (is_behind)
            bh_log_warning("db",
                           "the replica cannot be asked, or is more than %g s behind; "
                           "reading from the primary",
                           (double)BH_PG_REPLICA_LAG_US / 1e6);
        else
            bh_log_info("db", "the replica has caught up; reading from it");
    }
}

static void watch_in_fiber(void *const argument)
{
    struct bh_pg_replica *const replica = argument;
    struct bh_arena *arena;
    if (bh_arena_create(ARENA_BYTES, &arena) != 0) {
        bh_log_error("db", "no memory to watch the replica; reading from the primary");
        return;
    }
    while (!atomic_load(&replica->is_ending)) {
        bh_fiber_set_deadline(bh_time_now_us() + ASK_TIMEOUT_US);
        look(replica, arena);
        bh_fiber_set_deadline(BH_NEVER_US);
        (void)!bh_fiber_sleep(PAUSE_US);
    }
    bh_arena_destroy(arena);
}

struct start {
    struct bh_pg_replica *replica;
    int code;
};

static void start_at_home(void *const argument)
{
    struct start *const start = argument;
    start->code = bh_fiber_spawn(bh_loop_current(), watch_in_fiber, start->replica);
}

int bh_pg_replica_start(struct bh_pg_replica *const replica, struct bh_pg_shards *const shards,
                        const struct bh_pg_home *const home)
{
    struct start start = { .replica = replica };
    replica->shards = shards;
    replica->turned_us = bh_time_now_us();
    replica->is_told = true; /* so that its being there is told */
    const int code = bh_pg_home_run(home, start_at_home, &start);
    return code ? code : start.code;
}

void bh_pg_replica_stop(struct bh_pg_replica *const replica)
{
    atomic_store(&replica->is_ending, true);
}

unsigned bh_pg_replica_turn(const struct bh_pg_replica *const replica)
{
    return replica->shards ? atomic_load(&replica->shards->configs[BH_PG_REPLICA]->host->turn) : 0;
}

bool bh_pg_replica_may_read(const struct bh_pg_replica *const replica)
{
    if (!replica->shards)
        return false;
    if (atomic_load(&replica->known_turn) != bh_pg_replica_turn(replica))
        return false;
    const uint64_t known_us = atomic_load(&replica->replicated_us);
    return known_us > atomic_load(&replica->seen_us) &&
           bh_time_now_us() - known_us <= BH_PG_REPLICA_LAG_US;
}

void bh_pg_replica_note_seen(struct bh_pg_replica *const replica)
{
    if (!replica->shards)
        return;
    const uint64_t now_us = bh_time_now_us();
    uint64_t seen_us = atomic_load(&replica->seen_us);
    while (seen_us < now_us && !atomic_compare_exchange_weak(&replica->seen_us, &seen_us, now_us)) {
    }
}

void bh_pg_replica_failed(struct bh_pg_replica *const replica)
{
    atomic_store(&replica->replicated_us, 0);
}
