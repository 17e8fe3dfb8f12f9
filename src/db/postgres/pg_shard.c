/* Which shard is the current loop's is kept by its thread, so that a call takes no lock. */
#include "db/postgres/pg_shard.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"

struct bh_pg_shard {
    struct bh_pg_shards *shards;
    struct bh_loop *loop;
    struct bh_pool_loop *pools[BH_PG_POOLS]; /* NULL: not joined, or left */
    struct bh_loop_hook hook;
    bool is_stopping;
    unsigned leaving;    /* which pool */
    struct bh_list node; /* under shards->shared.mutex */
};

/* The last answer. A loop that ends takes its shards' with it. */
static _Thread_local struct {
    uint64_t id;
    struct bh_loop *loop;
    struct bh_pg_shard *shard;
} last;

void bh_pg_shards_init(struct bh_pg_shards *const shards)
{
    static atomic_uint_least64_t next_id = 1;
    shards->id = atomic_fetch_add(&next_id, 1);
    pthread_mutex_init(&shards->shared.mutex, NULL);
    bh_list_init(&shards->shared.list);
}

void bh_pg_shards_fini(struct bh_pg_shards *const shards)
{
    bh_assert(bh_list_is_empty(&shards->shared.list));
    pthread_mutex_destroy(&shards->shared.mutex);
}

static void leave_next(struct bh_pg_shard *shard);

static void pool_left(void *const argument)
{
    struct bh_pg_shard *const shard = argument;
    shard->leaving++;
    leave_next(shard);
}

/* One pool after the other; then the shard is gone. */
static void leave_next(struct bh_pg_shard *const shard)
{
    while (shard->leaving < BH_PG_POOLS && !shard->pools[shard->leaving])
        shard->leaving++;
    if (shard->leaving < BH_PG_POOLS) {
        bh_pool_leave(shard->pools[shard->leaving], pool_left, shard);
        return;
    }
    struct bh_pg_shards *const shards = shard->shards;
    struct bh_loop *const loop = shard->loop;
    pthread_mutex_lock(&shards->shared.mutex);
    bh_list_unlink(&shard->node);
    pthread_mutex_unlock(&shards->shared.mutex);
    bh_loop_remove_hook(loop, &shard->hook);
    free(shard);
}

static void loop_stopping(struct bh_loop_hook *const hook)
{
    struct bh_pg_shard *const shard = BH_CONTAINER_OF(hook, struct bh_pg_shard, hook);
    shard->is_stopping = true;
    last.shard = NULL;
    last.id = 0;
    leave_next(shard);
}

static struct bh_pg_shard *make_shard(struct bh_pg_shards *const shards)
{
    struct bh_pg_shard *const shard = calloc(1, sizeof(*shard));
    if (!shard)
        return NULL;
    shard->shards = shards;
    shard->loop = bh_loop_current();
    shard->hook.stopping = loop_stopping;
    bh_list_init(&shard->hook.node);
    bh_loop_add_hook(shard->loop, &shard->hook);
    pthread_mutex_lock(&shards->shared.mutex);
    bh_list_append(&shards->shared.list, &shard->node);
    pthread_mutex_unlock(&shards->shared.mutex);
    return shard;
}

static struct bh_pg_shard *find_shard(struct bh_pg_shards *const shards)
{
    struct bh_loop *const loop = bh_loop_current();
    struct bh_pg_shard *found = NULL;
    pthread_mutex_lock(&shards->shared.mutex);
    BH_LIST_FOREACH(node, &shards->shared.list) {
        struct bh_pg_shard *const shard = BH_LIST_ENTRY(node, struct bh_pg_shard, node);
        if (shard->loop == loop)
            found = shard;
    }
    pthread_mutex_unlock(&shards->shared.mutex);
    return found ? found : make_shard(shards);
}

int bh_pg_shards_pool(struct bh_pg_shards *const shards, const enum bh_pg_pool which,
                      struct bh_pool_loop **const ret_pool, struct bh_error *const reterr)
{
    if (last.id != shards->id || last.loop != bh_loop_current() || !last.shard) {
        struct bh_pg_shard *const found = find_shard(shards);
        if (!found)
            return bh_error_set(reterr, BH_ENOMEM, "no memory for a loop's connections");
        last.id = shards->id;
        last.loop = bh_loop_current();
        last.shard = found;
    }
    struct bh_pg_shard *const shard = last.shard;
    if (shard->is_stopping)
        return bh_error_set(reterr, BH_ESHUTDOWN, "the loop is ending");
    if (!shard->pools[which]) {
        const int code = bh_pool_join(shards->pools[which], shard->loop, &bh_pg_pool_driver,
                                      shards->configs[which], &shard->pools[which]);
        if (code)
            return bh_error_set(reterr, code,
                                "the database serves no more loops: open it with as many as "
                                "there are");
    }
    *ret_pool = shard->pools[which];
    return 0;
}
