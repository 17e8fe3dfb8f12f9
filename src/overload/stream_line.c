#include "overload/stream_line.h"

#include "bulkhead/base/assert.h"

void bh_stream_line_init(struct bh_stream_line *const line,
                         const struct bh_stream_gate_options *const options,
                         void (*const grant)(struct bh_stream_slot *slot))
{
    *line = (struct bh_stream_line){ .maximum = options->maximum,
                                     .waiters_maximum = options->waiters_maximum,
                                     .client_maximum = options->client_maximum,
                                     .grant = grant };
    bh_list_init(&line->waiters);
    bh_list_init(&line->claims);
}

/* All claims are looked through: they are few, and each is a stream, which costs far more. */
bool bh_stream_line_claim(struct bh_stream_line *const line, struct bh_stream_slot *const slot)
{
    unsigned count = 0;
    if (line->client_maximum > 0) {
        BH_LIST_FOREACH(node, &line->claims) {
            const struct bh_stream_slot *const other = BH_LIST_ENTRY(node, struct bh_stream_slot,
                                                                     claim);
            if (bh_str_equal(other->client, slot->client) && ++count == line->client_maximum)
                return false;
        }
    }
    bh_list_append(&line->claims, &slot->claim);
    return true;
}

void bh_stream_line_disclaim(struct bh_stream_slot *const slot)
{
    bh_list_unlink(&slot->claim);
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
