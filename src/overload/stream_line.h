/*
 * Who holds a slot of a stream gate and who waits for one; the gate without fibers and clock. Under
 * its owner's mutex.
 */
#pragma once

#include "bulkhead/overload/stream_gate.h"

struct bh_stream_line {
    unsigned maximum, waiters_maximum, client_maximum;
    unsigned active, waiting;                   /* read-only */
    struct bh_list waiters;                     /* struct bh_stream_slot.node, the oldest first */
    struct bh_list claims;                      /* …slot.claim: who holds, waits or will ask */
    void (*grant)(struct bh_stream_slot *slot); /* told to who has waited; must not call back */
};

enum bh_stream_answer { BH_STREAM_GRANTED, BH_STREAM_WAITS, BH_STREAM_REFUSED };

void bh_stream_line_init(struct bh_stream_line *line, const struct bh_stream_gate_options *options,
                         void (*grant)(struct bh_stream_slot *slot));

/* Before it asks, for slot->client. False: that client has its share already. */
bool bh_stream_line_claim(struct bh_stream_line *line, struct bh_stream_slot *slot);

/* After it has given back or was refused. */
void bh_stream_line_disclaim(struct bh_stream_slot *slot);

enum bh_stream_answer bh_stream_line_ask(struct bh_stream_line *line, struct bh_stream_slot *slot);

/* Whether the slot was still waiting, and is out of the line now; else it was granted. */
bool bh_stream_line_withdraw(struct bh_stream_line *line, struct bh_stream_slot *slot);

/* One that was granted is free again. */
void bh_stream_line_give_back(struct bh_stream_line *line);

void bh_stream_line_resize(struct bh_stream_line *line, unsigned maximum);
