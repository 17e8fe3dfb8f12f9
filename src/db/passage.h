/*
 * One call's way through the gate (bulkhead/db/gate.h): a statement's, or a transaction's with all
 * its statements. Where there is no gate it costs a comparison.
 */
#pragma once

#include "bulkhead/db/gate.h"
#include "db/trace.h"

struct bh_db_passage {
    const struct bh_db_gate *gate; /* private, as the rest; NULL: none */
    enum bh_db_lane lane;
    enum bh_db_outcome outcome; /* the worst so far */
    uint64_t permit;
    uint64_t longest_us;
    uint64_t now_us; /* the latest time known */
};

/* 0, or the gate's error: no more is to be done then. `gate` may be NULL. */
int bh_db_passage_enter(struct bh_db_passage *passage, const struct bh_db_gate *gate,
                        enum bh_db_lane lane, const struct bh_trace_span *span,
                        struct bh_error *reterr) BH_MUST_CHECK;

/* A statement ended; `is_slow`: its duration says nothing. */
void bh_db_passage_note(struct bh_db_passage *passage, const struct bh_trace_span *span, int result,
                        bool is_slow);

void bh_db_passage_leave(struct bh_db_passage *passage);
