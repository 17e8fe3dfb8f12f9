/*
 * Stream gate: how many streamed answers there may be at a time, over all loops. Past the limit a
 * request waits a short time, first come, first served; then it is refused. One client has at most
 * its share of all that, so that nobody can shut out the others.
 *
 *     BH_CLEANUP(bh_stream_slot_leave) struct bh_stream_slot slot = { 0 };
 *     result = bh_stream_gate_claim(gate, client, &slot);
 *     if (result == 0)
 *         result = bh_stream_gate_enter(gate, &slot);
 *     if (result)
 *         return bh_streams_refuse(request, gate, result);   // bulkhead/runtime/streams.h
 *     … bh_stream_begin, bh_stream_write, bh_stream_end …
 *     return bh_stream_wait_sent(request);             // the slot is held until the last byte went
 *
 * A slot comes back whatever happens: leaving twice, or without having entered or claimed, is
 * harmless.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"
#include "bulkhead/base/time.h"
#include "bulkhead/overload/waiter.h"

struct bh_stream_gate; /* opaque; any thread */

struct bh_stream_gate_options {
    unsigned maximum;         /* streams at a time; at least 1 */
    unsigned waiters_maximum; /* requests that may wait for one; past it BH_EBUSY at once */
    uint64_t wait_us;         /* how long at most */
    unsigned client_maximum;  /* claims of one client at a time; 0: any number */
};

/* In the caller's memory, zeroed; it must stay there until left. */
struct bh_stream_slot {
    struct bh_stream_gate *gate; /* private, as the rest; NULL: nothing is claimed */
    bool is_held;
    bool is_waiting; /* under the gate's mutex, as the lists */
    struct bh_waiter waiter;
    struct bh_list node;
    struct bh_list claim;
    struct bh_str client;
};

/* BH_EINVAL: a maximum of 0. One gate a process has metrics of its own: make only one. */
int bh_stream_gate_create(const struct bh_stream_gate_options *options,
                          struct bh_stream_gate **ret_gate, struct bh_error *reterr) BH_MUST_CHECK;
/* Every slot must have been left. NULL is fine. */
void bh_stream_gate_destroy(struct bh_stream_gate *gate);

/* Counts the request to `client`'s share until the slot is left; the text stays where it is until
 * then. BH_ELIMIT: the client has its share already. Never waits; any thread. */
int bh_stream_gate_claim(struct bh_stream_gate *gate, struct bh_str client,
                         struct bh_stream_slot *slot) BH_MUST_CHECK;

/* From a fiber, after its claim: 0 with the slot held; BH_EBUSY: none became free in time, or too
 * many wait; BH_ECANCELED, BH_ETIMEDOUT: the fiber's own end came first. */
int bh_stream_gate_enter(struct bh_stream_gate *gate, struct bh_stream_slot *slot) BH_MUST_CHECK;

/* Gives the slot to who has waited longest, and ends the claim. Any thread. */
void bh_stream_slot_leave(struct bh_stream_slot *slot);

/* A new limit, from now on: streams above it go on to their end, but none is added before there are
 * fewer. A client's share stays as it is. Any thread. */
void bh_stream_gate_resize(struct bh_stream_gate *gate, unsigned maximum);

struct bh_stream_gate_statistics {
    unsigned active, waiting, maximum, client_maximum;
    uint64_t granted, refused, client_refused; /* so far: 0, BH_EBUSY, BH_ELIMIT */
};
void bh_stream_gate_statistics(struct bh_stream_gate *gate,
                               struct bh_stream_gate_statistics *ret_statistics);
