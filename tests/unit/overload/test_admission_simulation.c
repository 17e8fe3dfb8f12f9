/*
 * Admission in virtual time: requests arrive whether or not earlier ones were answered (open loop),
 * at a server of a few workers that gets slower the more it has in hand, as real ones do.
 */
#include "cmocka_setup.h"

#include <math.h>
#include <stdlib.h>

#include "bulkhead/base/time.h"
#include "overload/admission_line.h"
#include "prng.h"

#define WORKERS 8
#define MEAN_US 4000.0
#define CROWD 64                       /* requests in hand at which its efficiency has halved */
#define PATIENCE_US (2 * BH_SECOND_US) /* an answer that comes later is no use */
#define REQUESTS_MAX 400000
#define CLASSES 2

enum request_state { WAITING, WORKING, GONE };

struct request {
    struct bh_admission_ticket ticket;
    unsigned class;
    enum request_state state;
    uint64_t came_us;
    double left_us; /* of work */
    uint64_t granted_us;
};

struct world {
    uint64_t now_us, random;
    struct bh_admission_line lines[CLASSES];
    bool has_admission;
    double slowness; /* times the usual service time */
    struct request *requests;
    size_t came;
    size_t *working;
    size_t working_count;
    size_t good[CLASSES], late[CLASSES], refused[CLASSES], arrived[CLASSES];
};

static struct world world;

static struct request *request_of(struct bh_admission_ticket *const ticket)
{
    return BH_CONTAINER_OF(ticket, struct request, ticket);
}

static void begin_work(struct request *const request)
{
    request->state = WORKING;
    request->granted_us = world.now_us;
    world.working[world.working_count++] = (size_t)(request - world.requests);
}

static void told(struct bh_admission_ticket *const ticket, const enum bh_admission_verdict verdict)
{
    struct request *const request = request_of(ticket);
    if (verdict == BH_ADMISSION_GRANTED) {
        begin_work(request);
        return;
    }
    request->state = GONE;
    world.refused[request->class]++;
}

static void world_init(const bool has_admission, const uint64_t seed)
{
    world = (struct world){ .now_us = 1000 * BH_SECOND_US,
                            .random = seed,
                            .has_admission = has_admission,
                            .slowness = 1,
                            .requests = calloc(REQUESTS_MAX, sizeof(struct request)),
                            .working = calloc(REQUESTS_MAX, sizeof(size_t)) };
    assert_true(world.requests && world.working);
    const struct bh_admission_class_options options = { "test", 32, 4, 1000, true };
    for (unsigned i = 0; i < CLASSES; i++)
        bh_admission_line_init(&world.lines[i], &options, 1000, BH_SECOND_US, told);
}

static void world_fini(void)
{
    free(world.requests);
    free(world.working);
}

static double uniform(void)
{
    return ((double)(prng_next(&world.random) >> 11) + 1) / 9007199254740993.0;
}

static double exponential(const double mean)
{
    return -log(uniform()) * mean;
}

static void arrive(const unsigned class)
{
    assert_true(world.came < REQUESTS_MAX);
    struct request *const request = &world.requests[world.came++];
    request->class = class;
    request->came_us = world.now_us;
    request->left_us = exponential(MEAN_US);
    request->ticket.priority = BH_ADMISSION_NORMAL;
    request->ticket.deadline_us = world.now_us + PATIENCE_US;
    bh_list_init(&request->ticket.node);
    world.arrived[class]++;
    if (!world.has_admission) {
        begin_work(request);
        return;
    }
    switch (bh_admission_line_ask(&world.lines[class], &request->ticket, world.now_us, 0)) {
    case BH_ADMISSION_GRANTED:
        begin_work(request);
        break;
    case BH_ADMISSION_WAITS:
        request->state = WAITING;
        break;
    default:
        request->state = GONE;
        world.refused[class]++;
    }
}

static void complete(struct request *const request)
{
    const unsigned class = request->class;
    request->state = GONE;
    if (world.now_us - request->came_us <= PATIENCE_US)
        world.good[class]++;
    else
        world.late[class]++;
    if (world.has_admission)
        bh_admission_line_finish(&world.lines[class], world.now_us - request->granted_us,
                                 world.now_us);
}

/* The workers share what is in hand evenly; the more that is, the less they get done. */
static void work(const uint64_t step_us)
{
    const size_t count = world.working_count;
    if (count == 0)
        return;
    const double workers = count < WORKERS ? (double)count : WORKERS;
    const double over = count > WORKERS ? (double)(count - WORKERS) : 0;
    const double efficiency = 1 / (1 + over / CROWD) / world.slowness;
    const double share_us = (double)step_us * workers / (double)count * efficiency;
    for (size_t i = 0; i < world.working_count;) {
        struct request *const request = &world.requests[world.working[i]];
        request->left_us -= share_us;
        if (request->left_us > 0) {
            i++;
            continue;
        }
        world.working[i] = world.working[--world.working_count];
        complete(request);
    }
}

/* `rates`: arrivals a second of each class. */
static void run(const double *const rates, const uint64_t duration_us)
{
    const uint64_t end_us = world.now_us + duration_us, step_us = 500;
    double next_us[CLASSES];
    for (unsigned i = 0; i < CLASSES; i++)
        next_us[i] = rates[i] > 0 ? (double)world.now_us + exponential(1e6 / rates[i]) : HUGE_VAL;
    while (world.now_us < end_us) {
        world.now_us += step_us;
        for (unsigned i = 0; i < CLASSES; i++) {
            while (next_us[i] <= (double)world.now_us) {
                arrive(i);
                next_us[i] += exponential(1e6 / rates[i]);
            }
        }
        work(step_us);
    }
}

static void forget_counts(void)
{
    for (unsigned i = 0; i < CLASSES; i++)
        world.good[i] = world.late[i] = world.refused[i] = world.arrived[i] = 0;
}

/* Good answers a second, once it has settled, at `times` what the server can do. */
static double goodput(const bool has_admission, const double times, const uint64_t seed)
{
    const double capacity = WORKERS / MEAN_US * 1e6;
    const double rates[CLASSES] = { capacity * times, 0 };
    world_init(has_admission, seed);
    run(rates, 5 * BH_SECOND_US);
    forget_counts();
    run(rates, 5 * BH_SECOND_US);
    const double good = (double)world.good[0] / 5;
    assert_true(!has_admission || world.late[0] < world.good[0] / 100 + 10);
    world_fini();
    return good;
}

static void test_goodput_holds_at_ten_times_the_load(void **const state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        const double peak = goodput(true, 0.9, seed);
        const double twice = goodput(true, 2, seed), ten_times = goodput(true, 10, seed);
        print_message("good answers a second: %.0f, at twice %.0f, at ten times %.0f\n", peak,
                      twice, ten_times);
        assert_true(twice >= 0.8 * peak);
        assert_true(ten_times >= 0.8 * peak);
    }
    assert_true(goodput(false, 2, 1) < 0.2 * goodput(true, 2, 1)); /* what it is there for */
}

static void test_no_class_starves(void **const state)
{
    (void)state;
    const double rates[CLASSES] = { 20000, 400 };
    world_init(true, 3);
    run(rates, 5 * BH_SECOND_US);
    forget_counts();
    run(rates, 5 * BH_SECOND_US);
    print_message("of a quiet class beside an overloaded one, answered well: %zu of %zu\n",
                  world.good[1], world.arrived[1]);
    assert_true(world.good[1] * 10 >= world.arrived[1] * 8);
    world_fini();
}

static void test_the_limit_converges(void **const state)
{
    (void)state;
    const double rates[CLASSES] = { 4000, 0 };
    world_init(true, 4);
    run(rates, 10 * BH_SECOND_US);
    double least = HUGE_VAL, most = 0;
    for (unsigned i = 0; i < 40; i++) {
        run(rates, BH_SECOND_US / 2);
        const double limit = world.lines[0].gradient.limit;
        least = limit < least ? limit : least;
        most = limit > most ? limit : most;
    }
    print_message("limit: %.1f to %.1f, for %d workers\n", least, most, WORKERS);
    assert_true(least >= WORKERS / 2.0 && most <= 6 * WORKERS);
    world_fini();
}

static void test_it_recovers_after_a_slow_spell(void **const state)
{
    (void)state;
    const double rates[CLASSES] = { 1600, 0 };
    world_init(true, 5);
    run(rates, 10 * BH_SECOND_US);
    forget_counts();
    run(rates, 5 * BH_SECOND_US);
    const size_t before = world.good[0];
    world.slowness = 10;
    run(rates, 20 * BH_SECOND_US);
    world.slowness = 1;
    run(rates, 5 * BH_SECOND_US);
    forget_counts();
    run(rates, 5 * BH_SECOND_US);
    print_message("good answers in 5 s: %zu before the spell, %zu after it\n", before,
                  world.good[0]);
    assert_true(world.good[0] * 100 >= before * 95);
    world_fini();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goodput_holds_at_ten_times_the_load),
        cmocka_unit_test(test_no_class_starves),
        cmocka_unit_test(test_the_limit_converges),
        cmocka_unit_test(test_it_recovers_after_a_slow_spell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
