#include "overload/stream_line.h"

#include "bulkhead/base/assert.h"

void bh_stream_line_init(struct bh_stream_line *const line, const unsigned maximum,
                         const unsigned waiters_maximum,
                         void (*const grant)(struct bh_stream_slot *slot))
{
    *line = (struct bh_stream_line){ .maximum = maximum,
                                     .waiters_maximum = waiters_maximum,
                                     .grant = grant };
    bh_list_init(&line->waiters);
}

static void serve(struct bh_stream_line *const line)
{
    while (line->active < line->maximum && line->waiting > 0) {
        struct bh_stream_slot *const slot = BH_LIST_ENTRY(bh_list_pop(&line->waiters),
                                                          struct bh_stream_slot, node);
        slot->is_waiting = false;
        line->waiting--;
        line->active++;
        line->grant(slot);
    }
}

enum bh_stream_answer bh_stream_line_ask(struct bh_stream_line *const line,
                                         struct bh_stream_slot *const slot)
{
    if (line->active < line->maximum) {
        bh_assert(line->waiting == 0);
        line->active++;
        return BH_STREAM_GRANTED;
    }
    if (line->waiting >= line->waiters_maximum)
        return BH_STREAM_REFUSED;
    slot->is_waiting = true;
    bh_list_append(&line->waiters, &slot->node);
    line->waiting++;
    return BH_STREAM_WAITS;
}

bool bh_stream_line_withdraw(struct bh_stream_line *const line, struct bh_stream_slot *const slot)
{
    if (!slot->is_waiting)
        return false;
    slot->is_waiting = false;
    bh_list_unlink(&slot->node);
    line->waiting--;
    return true;
}

void bh_stream_line_give_back(struct bh_stream_line *const line)
{
    bh_assert(line->active > 0);
    line->active--;
    serve(line);
}

void bh_stream_line_resize(struct bh_stream_line *const line, const unsigned maximum)
{
    line->maximum = maximum;
    serve(line);
}
