#include "db/passage.h"

#include "bulkhead/base/time.h"

int bh_db_passage_enter(struct bh_db_passage *const passage, const struct bh_db_gate *const gate,
                        const enum bh_db_lane lane, const struct bh_trace_span *const span,
                        struct bh_error *const reterr)
{
    *passage = (struct bh_db_passage){
        .gate = gate, .lane = lane, .outcome = BH_DB_WORKED, .now_us = span->begun_us
    };
    return gate ? gate->enter(gate->argument, lane, span->begun_us, &passage->permit, reterr) : 0;
}

/* By errors that are the database's fault, if the call ever reached it. */
static enum bh_db_outcome outcome_of(const struct bh_trace_span *const span, const int result)
{
    if (result >= 0)
        return BH_DB_WORKED;
    if (result == BH_ECANCELED)
        return BH_DB_UNTOLD;
    if (!span->granted_us)
        return result == BH_EUNAVAILABLE ? BH_DB_REFUSED : BH_DB_UNTOLD;
    return result == BH_EUNAVAILABLE || result == BH_ETIMEDOUT || result == BH_EIO ? BH_DB_FAILED
                                                                                   : BH_DB_WORKED;
}

void bh_db_passage_note(struct bh_db_passage *const passage, const struct bh_trace_span *const span,
                        const int result, const bool is_slow)
{
    if (!passage->gate)
        return;
    const uint64_t now_us = span->ended_us ? span->ended_us : bh_time_now_us();
    const uint64_t begun_us = span->granted_us ? span->granted_us : span->begun_us;
    if (!is_slow && now_us > begun_us && now_us - begun_us > passage->longest_us)
        passage->longest_us = now_us - begun_us;
    passage->now_us = now_us;
    const enum bh_db_outcome outcome = outcome_of(span, result);
    if (outcome == BH_DB_FAILED || passage->outcome == BH_DB_WORKED)
        passage->outcome = outcome;
}

void bh_db_passage_leave(struct bh_db_passage *const passage)
{
    const struct bh_db_gate *const gate = passage->gate;
    if (gate)
        gate->leave(gate->argument, passage->lane, passage->permit, passage->outcome,
                    passage->longest_us, passage->now_us);
}
