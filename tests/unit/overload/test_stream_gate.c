#include "cmocka_setup.h"
#include "crowd.h"

#include <string.h>

#include "bulkhead/overload/stream_gate.h"
#include "overload/stream_line.h"

/* ---- The line, in every interleaving ---- */

#define REQUESTS 4
#define DEPTH 8

enum request_state { OUTSIDE, WAITING, HOLDING };

/* What ought to be. */
struct model {
    unsigned maximum, client_maximum;
    enum request_state states[REQUESTS];
    unsigned order[REQUESTS]; /* who waits, the oldest first */
    unsigned waiting, holding;
};

static struct bh_stream_slot slots[REQUESTS];
static bool was_granted[REQUESTS];
static uint64_t sequences;

static void note_grant(struct bh_stream_slot *const slot)
{
    was_granted[slot - slots] = true;
}

/* The first two are of one client, the others of one each. */
static char client_of(const unsigned request)
{
    return request < 2 ? 'a' : (char)('a' + request);
}

static bool model_has_share(const struct model *const model, const unsigned request)
{
    unsigned count = 0;
    for (unsigned i = 0; i < REQUESTS; i++)
        count += client_of(i) == client_of(request) && model->states[i] != OUTSIDE;
    return model->client_maximum > 0 && count >= model->client_maximum;
}

static void model_serve(struct model *const model)
{
    while (model->holding < model->maximum && model->waiting > 0) {
        model->states[model->order[0]] = HOLDING;
        model->holding++;
        memmove(model->order, model->order + 1, --model->waiting * sizeof(model->order[0]));
    }
}

static void model_step(struct model *const model, const unsigned request)
{
    switch (model->states[request]) {
    case OUTSIDE:
        if (model_has_share(model, request)) {
            break;
        } else if (model->holding < model->maximum) {
            model->states[request] = HOLDING;
            model->holding++;
        } else if (model->waiting < 2) {
            model->states[request] = WAITING;
            model->order[model->waiting++] = request;
        }
        break;
    case WAITING:
        for (unsigned i = 0; i < model->waiting; i++) {
            if (model->order[i] == request)
                memmove(model->order + i, model->order + i + 1,
                        (model->waiting-- - i - 1) * sizeof(model->order[0]));
        }
        model->states[request] = OUTSIDE;
        break;
    case HOLDING:
        model->states[request] = OUTSIDE;
        model->holding--;
        break;
    }
    model_serve(model);
}

/* What a request does next follows from where it is: ask, stop waiting, give back. */
static void real_step(struct bh_stream_line *const line, const enum request_state state,
                      const unsigned request)
{
    if (state == OUTSIDE) {
        was_granted[request] = false;
        if (!bh_stream_line_claim(line, &slots[request]))
            return;
        const enum bh_stream_answer answer = bh_stream_line_ask(line, &slots[request]);
        if (answer == BH_STREAM_GRANTED)
            was_granted[request] = true;
        else if (answer == BH_STREAM_REFUSED)
            bh_stream_line_disclaim(&slots[request]);
    } else if (bh_stream_line_withdraw(line, &slots[request])) {
        bh_stream_line_disclaim(&slots[request]);
    } else {
        was_granted[request] = false;
        bh_stream_line_give_back(line);
        bh_stream_line_disclaim(&slots[request]);
    }
}

static void compare(const struct bh_stream_line *const line, const struct model *const model)
{
    assert_int_equal(line->active, model->holding);
    assert_int_equal(line->waiting, model->waiting);
    for (unsigned i = 0; i < REQUESTS; i++) {
        assert_int_equal(slots[i].is_waiting, model->states[i] == WAITING);
        assert_int_equal(was_granted[i], model->states[i] == HOLDING);
    }
}

/* Plays `steps` from the beginning: a digit each, a request or a new maximum. */
static void play(const unsigned *const steps, const unsigned count, const unsigned client_maximum)
{
    static char clients[REQUESTS];
    const struct bh_stream_gate_options options = { 2, 2, 0, client_maximum };
    struct bh_stream_line line;
    struct model model = { .maximum = 2, .client_maximum = client_maximum };
    memset(slots, 0, sizeof(slots));
    memset(was_granted, 0, sizeof(was_granted));
    for (unsigned i = 0; i < REQUESTS; i++) {
        clients[i] = client_of(i);
        slots[i].client = (struct bh_str){ &clients[i], 1 };
        bh_list_init(&slots[i].node);
        bh_list_init(&slots[i].claim);
    }
    bh_stream_line_init(&line, &options, note_grant);
    for (unsigned i = 0; i < count; i++) {
        if (steps[i] < REQUESTS) {
            real_step(&line, model.states[steps[i]], steps[i]);
            model_step(&model, steps[i]);
        } else {
            model.maximum = model.maximum == 2 ? 1 : 2;
            bh_stream_line_resize(&line, model.maximum);
            model_serve(&model);
        }
        compare(&line, &model);
    }
    sequences++;
}

static void play_all(const unsigned client_maximum)
{
    unsigned steps[DEPTH] = { 0 };
    sequences = 0;
    for (;;) {
        play(steps, DEPTH, client_maximum);
        unsigned at = 0;
        while (at < DEPTH && ++steps[at] > REQUESTS)
            steps[at++] = 0;
        if (at == DEPTH)
            break;
    }
    assert_int_equal(sequences, 390625); /* 5 to the power of 8 */
}

static void test_every_interleaving(void **const state)
{
    (void)state;
    play_all(0);
}

static void test_every_interleaving_with_shares(void **const state)
{
    (void)state;
    play_all(1);
}

/* ---- Fibers ---- */

static struct bh_stream_gate *gate;

static struct bh_stream_gate *create_shared(const unsigned maximum, const unsigned waiters,
                                            const uint64_t wait_us, const unsigned client_maximum)
{
    const struct bh_stream_gate_options options = { maximum, waiters, wait_us, client_maximum };
    struct bh_stream_gate *created;
    assert_int_equal(bh_stream_gate_create(&options, &created, NULL), 0);
    return created;
}

static struct bh_stream_gate *create(const unsigned maximum, const unsigned waiters,
                                     const uint64_t wait_us)
{
    return create_shared(maximum, waiters, wait_us, 0);
}

static struct bh_stream_gate_statistics statistics(void)
{
    struct bh_stream_gate_statistics statistics;
    bh_stream_gate_statistics(gate, &statistics);
    return statistics;
}

struct visitor {
    const char *client; /* NULL: nobody in particular */
    struct bh_fiber *fiber;
    uint64_t deadline_us;
    int result;
    bool has_entered, may_leave, has_ended;
    unsigned rank; /* in which order they entered */
};

static unsigned entered;

static void visit(void *const argument)
{
    struct visitor *const visitor = argument;
    BH_CLEANUP(bh_stream_slot_leave) struct bh_stream_slot slot = { 0 };
    visitor->fiber = bh_fiber_current();
    if (visitor->deadline_us)
        bh_fiber_set_deadline(visitor->deadline_us);
    visitor->result = bh_stream_gate_claim(gate, bh_str_from(visitor->client), &slot);
    if (visitor->result == 0)
        visitor->result = bh_stream_gate_enter(gate, &slot);
    visitor->has_entered = visitor->result == 0;
    visitor->rank = ++entered;
    while (visitor->has_entered && !visitor->may_leave)
        bh_fiber_yield();
    visitor->has_ended = true;
}

static void spawn(struct visitor *const visitor)
{
    assert_int_equal(bh_fiber_spawn(bh_loop_current(), visit, visitor), 0);
}

static void let_go(struct visitor *const visitor)
{
    visitor->may_leave = true;
    while (!visitor->has_ended)
        bh_fiber_yield();
}

static void first_come_first_served(void *const argument)
{
    (void)argument;
    struct visitor visitors[6] = { 0 };
    gate = create(2, 3, 60 * BH_SECOND_US);
    entered = 0;
    for (unsigned i = 0; i < 6; i++)
        spawn(&visitors[i]);
    assert_int_equal(visitors[5].result, BH_EBUSY); /* three wait already */
    assert_int_equal(statistics().waiting, 3);
    for (unsigned i = 0; i < 5; i++)
        let_go(&visitors[i]);
    for (unsigned i = 0; i + 1 < 5; i++)
        assert_true(visitors[i].has_entered && visitors[i].rank < visitors[i + 1].rank + 3);
    assert_true(visitors[2].rank < visitors[3].rank && visitors[3].rank < visitors[4].rank);
    assert_int_equal(statistics().active, 0);
    bh_stream_gate_destroy(gate);
}

static void test_first_come_first_served(void **const state)
{
    (void)state;
    in_fiber_run(first_come_first_served, NULL);
}

static void waits_end(void *const argument)
{
    (void)argument;
    struct visitor holder = { 0 }, patient = { 0 }, left = { 0 }, late = { 0 };
    gate = create(1, 10, 20 * BH_MS_US);
    spawn(&holder);
    spawn(&patient);
    spawn(&left);
    late.deadline_us = bh_time_now_us() + 5 * BH_MS_US;
    spawn(&late);
    bh_fiber_cancel(left.fiber);
    while (!patient.has_ended || !left.has_ended || !late.has_ended)
        assert_int_equal(bh_fiber_sleep(BH_MS_US), 0);
    assert_int_equal(patient.result, BH_EBUSY);
    assert_int_equal(left.result, BH_ECANCELED);
    assert_int_equal(late.result, BH_ETIMEDOUT);
    let_go(&holder);
    assert_int_equal(statistics().active, 0);
    bh_stream_gate_destroy(gate);
}

static void test_waits_end(void **const state)
{
    (void)state;
    in_fiber_run(waits_end, NULL);
}

/* Granted and cancelled in the same turn, in both orders: the slot goes to the next. */
static void cancel_meets_grant(void *const argument)
{
    const bool cancel_first = *(const bool *)argument;
    struct visitor holder = { 0 }, canceled = { 0 }, next = { 0 };
    gate = create(1, 10, 60 * BH_SECOND_US);
    spawn(&holder);
    spawn(&canceled);
    spawn(&next);
    if (cancel_first)
        bh_fiber_cancel(canceled.fiber);
    let_go(&holder);
    if (!cancel_first)
        bh_fiber_cancel(canceled.fiber);
    canceled.may_leave = true;
    while (!next.has_entered)
        bh_fiber_yield();
    let_go(&next);
    assert_true(canceled.has_ended);
    assert_int_equal(statistics().active, 0);
    bh_stream_gate_destroy(gate);
}

static void test_cancel_meets_grant(void **const state)
{
    (void)state;
    bool cancel_first = true;
    in_fiber_run(cancel_meets_grant, &cancel_first);
    cancel_first = false;
    in_fiber_run(cancel_meets_grant, &cancel_first);
}

static void shrinks(void *const argument)
{
    (void)argument;
    struct visitor visitors[5] = { 0 };
    gate = create(3, 10, 60 * BH_SECOND_US);
    for (unsigned i = 0; i < 3; i++)
        spawn(&visitors[i]);
    bh_stream_gate_resize(gate, 1);
    spawn(&visitors[3]);
    let_go(&visitors[0]);
    let_go(&visitors[1]);
    assert_false(visitors[3].has_entered);
    assert_int_equal(statistics().active, 1);
    let_go(&visitors[2]);
    while (!visitors[3].has_entered)
        bh_fiber_yield();
    bh_stream_gate_resize(gate, 2);
    spawn(&visitors[4]);
    assert_true(visitors[4].has_entered);
    let_go(&visitors[3]);
    let_go(&visitors[4]);
    bh_stream_gate_destroy(gate);
}

static void test_shrinks(void **const state)
{
    (void)state;
    in_fiber_run(shrinks, NULL);
}

/* Who has its share is refused at once, and nobody else: by slots, and by places in the line. */
static void one_client_has_its_share(void *const argument)
{
    (void)argument;
    struct visitor greedy[4] = {
        { .client = "a" }, { .client = "a" }, { .client = "a" }, { .client = "a" }
    };
    struct visitor honest[2] = { { .client = "b" }, { .client = "c" } };
    gate = create_shared(2, 10, 60 * BH_SECOND_US, 2);
    const uint64_t before = statistics().client_refused;
    spawn(&greedy[0]);
    spawn(&honest[0]);
    spawn(&greedy[1]); /* waits: that is its share */
    spawn(&greedy[2]);
    assert_int_equal(greedy[2].result, BH_ELIMIT);
    assert_int_equal(statistics().waiting, 1);
    spawn(&honest[1]);
    let_go(&honest[0]);
    assert_int_equal(statistics().waiting, 1);
    let_go(&greedy[0]);
    while (!honest[1].has_entered)
        bh_fiber_yield();
    spawn(&greedy[3]);
    assert_int_equal(statistics().waiting, 1); /* one slot and one place in the line again */
    bh_fiber_cancel(greedy[3].fiber);
    while (!greedy[3].has_ended)
        bh_fiber_yield();
    greedy[0] = (struct visitor){ .client = "a" };
    spawn(&greedy[0]);
    assert_int_equal(statistics().waiting, 1);
    let_go(&greedy[1]);
    let_go(&honest[1]);
    let_go(&greedy[0]);
    assert_int_equal(statistics().active, 0);
    assert_int_equal(statistics().client_refused, before + 1);
    bh_stream_gate_destroy(gate);
}

static void test_one_client_has_its_share(void **const state)
{
    (void)state;
    in_fiber_run(one_client_has_its_share, NULL);
}

/* ---- Loops: holders, waiters, cancellation and time-outs at random, on several threads ---- */

#define SLOTS 3
#define SHARE 2

static atomic_uint held[2]; /* by each of two clients */

static void visit_gate(struct crowd_visitor *const visitor)
{
    char client[] = { (char)('a' + visitor->place % 2), '\0' };
    BH_CLEANUP(bh_stream_slot_leave) struct bh_stream_slot slot = { 0 };
    int result = bh_stream_gate_claim(gate, bh_str_from(client), &slot);
    if (result == 0)
        result = bh_stream_gate_enter(gate, &slot);
    if (result == 0)
        bh_assert(atomic_fetch_add(&held[client[0] - 'a'], 1) < SHARE);
    crowd_stay(visitor, result);
    if (result == 0)
        atomic_fetch_sub(&held[client[0] - 'a'], 1);
}

static void test_loops_share_a_gate(void **const state)
{
    (void)state;
    struct crowd crowd = { .visit = visit_gate, .limit = SLOTS, .seed = 7 };
    gate = create_shared(SLOTS, 3, 300, SHARE);
    const uint64_t before = statistics().client_refused;
    crowd_run(&crowd);
    assert_true(crowd.granted > 0);
    assert_true(statistics().client_refused > before);
    assert_int_equal(statistics().active, 0);
    assert_int_equal(statistics().waiting, 0);
    bh_stream_gate_destroy(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_interleaving),
        cmocka_unit_test(test_every_interleaving_with_shares),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_waits_end),
        cmocka_unit_test(test_cancel_meets_grant),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_one_client_has_its_share),
        cmocka_unit_test(test_loops_share_a_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
