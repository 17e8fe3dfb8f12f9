/*
 * The stream gate: a line (stream_line.h) under a mutex, and fibers that wait in it.
 *
 * A slot is granted by the thread that gives one back. The slot's memory is the waiting fiber's
 * stack, so a fiber that stops waiting after its grant stays until it was told, and then decides.
 */
#include "bulkhead/overload/stream_gate.h"

#include <pthread.h>
#include <stdlib.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "overload/stream_line.h"

#define BH_METRICS_FILE "overload/stream_gate_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define GATE_MAGIC 0x53475445u

struct bh_stream_gate {
    BH_MAGIC_FIELD;
    uint64_t wait_us;
    bh_metric metrics[METRIC_COUNT];
    struct {
        pthread_mutex_t mutex;
        struct bh_stream_line line;
    } shared;
};

/* ---- Life ---- */

static void tell(struct bh_stream_slot *const slot)
{
    bh_waiter_tell(&slot->waiter);
}

int bh_stream_gate_create(const struct bh_stream_gate_options *const options,
                          struct bh_stream_gate **const ret_gate, struct bh_error *const reterr)
{
    if (options->maximum == 0)
        return bh_error_set(reterr, BH_EINVAL, "a stream gate must let at least one stream pass");
    struct bh_stream_gate *const gate = calloc(1, sizeof(*gate));
    if (!gate)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the stream gate");
    gate->magic = GATE_MAGIC;
    gate->wait_us = options->wait_us;
    pthread_mutex_init(&gate->shared.mutex, NULL);
    bh_stream_line_init(&gate->shared.line, options, tell);
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        gate->metrics[i] = bh_metrics_child(&metric_families[i], NULL, 0);
    bh_metrics_add(gate->metrics[METRIC_maximum], options->maximum);
    *ret_gate = gate;
    return 0;
}

void bh_stream_gate_destroy(struct bh_stream_gate *const gate)
{
    if (!gate)
        return;
    bh_magic_check(gate, GATE_MAGIC);
    bh_assert(gate->shared.line.active == 0 && gate->shared.line.waiting == 0);
    bh_metrics_add(gate->metrics[METRIC_maximum], -(int64_t)gate->shared.line.maximum);
    pthread_mutex_destroy(&gate->shared.mutex);
    gate->magic = 0;
    free(gate);
}

/* ---- Slots ---- */

static void give_back(struct bh_stream_gate *const gate)
{
    pthread_mutex_lock(&gate->shared.mutex);
    bh_stream_line_give_back(&gate->shared.line);
    pthread_mutex_unlock(&gate->shared.mutex);
}

/* The wait ended early, by `result`. */
static int stop_waiting(struct bh_stream_gate *const gate, struct bh_stream_slot *const slot,
                        const uint64_t until_us, const int result)
{
    pthread_mutex_lock(&gate->shared.mutex);
    const bool was_waiting = bh_stream_line_withdraw(&gate->shared.line, slot);
    pthread_mutex_unlock(&gate->shared.mutex);
    const bool is_out_of_time = result == BH_ETIMEDOUT && until_us >= bh_fiber_deadline();
    if (was_waiting)
        return result == BH_ETIMEDOUT && !is_out_of_time ? BH_EBUSY : result;
    bh_waiter_stay(&slot->waiter);
    if (result == BH_ETIMEDOUT && !is_out_of_time)
        return 0; /* granted at the last moment */
    give_back(gate);
    return result;
}

static int wait_for_grant(struct bh_stream_gate *const gate, struct bh_stream_slot *const slot)
{
    const uint64_t until_us = bh_time_now_us() + gate->wait_us;
    bh_metrics_add(gate->metrics[METRIC_waiting], 1);
    int result = bh_waiter_wait(&slot->waiter, until_us);
    if (result)
        result = stop_waiting(gate, slot, until_us, result);
    bh_metrics_add(gate->metrics[METRIC_waiting], -1);
    return result;
}

int bh_stream_gate_claim(struct bh_stream_gate *const gate, const struct bh_str client,
                         struct bh_stream_slot *const slot)
{
    bh_magic_check(gate, GATE_MAGIC);
    bh_assert(!slot->gate);
    *slot = (struct bh_stream_slot){ .client = client };
    bh_waiter_init(&slot->waiter);
    bh_list_init(&slot->node);
    bh_list_init(&slot->claim);
    pthread_mutex_lock(&gate->shared.mutex);
    const bool is_claimed = bh_stream_line_claim(&gate->shared.line, slot);
    pthread_mutex_unlock(&gate->shared.mutex);
    if (!is_claimed) {
        bh_metrics_add(gate->metrics[METRIC_client_refused], 1);
        return BH_ELIMIT;
    }
    slot->gate = gate;
    return 0;
}

int bh_stream_gate_enter(struct bh_stream_gate *const gate, struct bh_stream_slot *const slot)
{
    bh_magic_check(gate, GATE_MAGIC);
    bh_assert(slot->gate == gate && !slot->is_held);
    pthread_mutex_lock(&gate->shared.mutex);
    const enum bh_stream_answer answer = bh_stream_line_ask(&gate->shared.line, slot);
    pthread_mutex_unlock(&gate->shared.mutex);
    int result = 0;
    if (answer == BH_STREAM_REFUSED)
        result = BH_EBUSY;
    else if (answer == BH_STREAM_WAITS)
        result = wait_for_grant(gate, slot);
    if (result == 0) {
        slot->is_held = true;
        bh_metrics_add(gate->metrics[METRIC_active], 1);
    }
    if (result == 0 || result == BH_EBUSY)
        bh_metrics_add(gate->metrics[result == 0 ? METRIC_granted : METRIC_refused], 1);
    return result;
}

void bh_stream_slot_leave(struct bh_stream_slot *const slot)
{
    struct bh_stream_gate *const gate = slot->gate;
    if (!gate)
        return;
    slot->gate = NULL;
    if (slot->is_held)
        bh_metrics_add(gate->metrics[METRIC_active], -1);
    pthread_mutex_lock(&gate->shared.mutex);
    bh_stream_line_disclaim(slot);
    if (slot->is_held)
        bh_stream_line_give_back(&gate->shared.line);
    pthread_mutex_unlock(&gate->shared.mutex);
    slot->is_held = false;
}

/* ---- Control and figures ---- */

void bh_stream_gate_resize(struct bh_stream_gate *const gate, const unsigned maximum)
{
    bh_magic_check(gate, GATE_MAGIC);
    pthread_mutex_lock(&gate->shared.mutex);
    bh_metrics_add(gate->metrics[METRIC_maximum],
                   (int64_t)maximum - (int64_t)gate->shared.line.maximum);
    bh_stream_line_resize(&gate->shared.line, maximum);
    pthread_mutex_unlock(&gate->shared.mutex);
}

void bh_stream_gate_statistics(struct bh_stream_gate *const gate,
                               struct bh_stream_gate_statistics *const ret_statistics)
{
    bh_magic_check(gate, GATE_MAGIC);
    pthread_mutex_lock(&gate->shared.mutex);
    *ret_statistics = (struct bh_stream_gate_statistics){
        .active = gate->shared.line.active,
        .waiting = gate->shared.line.waiting,
        .maximum = gate->shared.line.maximum,
        .client_maximum = gate->shared.line.client_maximum,
    };
    pthread_mutex_unlock(&gate->shared.mutex);
    ret_statistics->granted = (uint64_t)bh_metrics_value(gate->metrics[METRIC_granted]);
    ret_statistics->refused = (uint64_t)bh_metrics_value(gate->metrics[METRIC_refused]);
    ret_statistics->client_refused = (uint64_t)bh_metrics_value(
        gate->metrics[METRIC_client_refused]);
}
