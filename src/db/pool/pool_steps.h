/*
 * What the pool's own files do for each other: the steps a call on a shard is made of. All on the
 * shard's thread, at the shard's time (bh_pool_advance comes first).
 */
#pragma once

#include "db/pool/pool_internal.h"

static inline struct bh_str bh_pool_holder(const struct bh_pool_lease *const lease)
{
    return lease->route.size ? lease->route : BH_STR("no request");
}

static inline void bh_pool_average(uint64_t *const value_us, const uint64_t sample_us)
{
    *value_us = *value_us ? (7 * *value_us + sample_us) / 8 : sample_us;
}

static inline bool bh_pool_has_high(const struct bh_pool_shard *const shard)
{
    return !bh_list_is_empty(&shard->lines[BH_POOL_LANE_EXCLUSIVE][BH_POOL_HIGH]) ||
           !bh_list_is_empty(&shard->lines[BH_POOL_LANE_SHARED][BH_POOL_HIGH]);
}

/* ---- pool_connection.c: a connection's states ---- */

/* The shard's time, brought up to `now_us`. */
uint64_t bh_pool_advance(struct bh_pool_shard *shard, uint64_t now_us);
/* Asks for a tick at `at_us`. */
void bh_pool_wakeup(struct bh_pool_shard *shard, uint64_t at_us);
/* SHARED: when it is given up, if nothing of its pipeline ends meanwhile. */
uint64_t bh_pool_silent_at_us(const struct bh_pool_connection *connection);
/* The only place where a connection changes its state. */
void bh_pool_move(struct bh_pool_connection *connection, enum bh_pool_state state);
/* Begins a connect, with the token that was taken for it. */
void bh_pool_connect(struct bh_pool_shard *shard, uint64_t limit_us);
/* Takes it out of use: by a goodbye, or at once where that makes no sense. It may be freed then. */
void bh_pool_end(struct bh_pool_connection *connection, enum bh_pool_close_reason why);
/* It is nobody's any more: idle from now on (true), or ended. */
bool bh_pool_park(struct bh_pool_connection *connection);
/* Ends idle connections that are too old, too many, or not wanted any more. */
void bh_pool_trim(struct bh_pool_shard *shard);
/* Time limits of connections. */
void bh_pool_expire_connections(struct bh_pool_shard *shard);
/* The next time limit of a connection. */
uint64_t bh_pool_connections_due_us(const struct bh_pool_shard *shard);

/* ---- pool_line.c: waiters ---- */

/* Grants leases as long as connections are there. */
void bh_pool_serve(struct bh_pool_shard *shard);
/* Grants at once what needs no connection to be woken, and nobody waits for. */
bool bh_pool_grant_at_once(struct bh_pool_shard *shard, struct bh_pool_lease *lease);
void bh_pool_enter_line(struct bh_pool_shard *shard, struct bh_pool_lease *lease);
void bh_pool_leave_line(struct bh_pool_lease *lease);
/* An exclusive lease was released. */
void bh_pool_tenant_returned(const struct bh_pool_lease *lease, struct bh_pool_shard *shard);
/* Ends a waiting lease by `code` and counts it; its error is written already. */
void bh_pool_refuse(struct bh_pool_lease *lease, int code, enum bh_pool_count count);
/* Makes place in a full line for one of `priority`: someone of a lower one goes. */
bool bh_pool_make_place(struct bh_pool_shard *shard, enum bh_pool_priority priority);
/* Refuses whose time is over, and all if waiting has become hopeless. */
void bh_pool_expire_waiters(struct bh_pool_shard *shard);
/* The oldest waiter's request time; BH_NEVER_US: nobody waits. */
uint64_t bh_pool_oldest_request_us(const struct bh_pool_shard *shard);
/* Whether the first shared waiter would fit a pipeline. */
bool bh_pool_shared_has_room(const struct bh_pool_shard *shard);
/* Shared connections that are getting on: neither ending nor stuck behind a slow statement. */
unsigned bh_pool_shared_live(const struct bh_pool_shard *shard);
/* Connections that will be idle soon. */
unsigned bh_pool_coming(const struct bh_pool_shard *shard);

/* ---- pool_plan.c: how many connections there should be ---- */

/* Pings, connects, gives away. */
void bh_pool_plan(struct bh_pool_shard *shard);
/* Serves, then plans: after everything that happened. */
void bh_pool_settle(struct bh_pool_shard *shard);
unsigned bh_pool_minimum_of(const struct bh_pool_shard *shard);
/* When waiting for the host is, or becomes, hopeless; BH_NEVER_US: it is up. */
uint64_t bh_pool_hopeless_at_us(const struct bh_pool_shard *shard);
bool bh_pool_is_unavailable(const struct bh_pool_shard *shard);
/* A drained shard without connections says so. */
void bh_pool_tell_drained(struct bh_pool_shard *shard);

/* ---- pool_refusal.c: what the refused are told; each returns its code ---- */

/* The message names the longest holders, of all shards; it is logged too, once a second. */
int bh_pool_tell_busy(const struct bh_pool_shard *shard, const struct bh_pool_lease *lease,
                      const char *why);
int bh_pool_tell_unavailable(struct bh_pool_shard *shard, const struct bh_pool_lease *lease);
int bh_pool_tell_shutdown(const struct bh_pool_lease *lease);
/* Tells the other shards, one of which is hungry, who has held a connection here the longest. */
void bh_pool_tell_longest(struct bh_pool_shard *shard);
