/* Whose turn it is: priorities, arrival, tenants' shares; and at random against a plain model. */
#include "cmocka_setup.h"

#include <string.h>

#include "db/line.h"

static struct bh_line line;

static int setup(void **const state)
{
    (void)state;
    bh_line_init(&line);
    return 0;
}

static void join(struct bh_line_place *const place, const enum bh_line_priority priority,
                 const uint32_t tenant)
{
    *place = (struct bh_line_place){ .priority = priority, .tenant = tenant };
    bh_line_join(&line, place);
    bh_line_check(&line);
}

/* It gets a connection. */
static void serve(struct bh_line_place *const place)
{
    bh_line_leave(&line, place);
    bh_line_took(&line, place->tenant);
    bh_line_check(&line);
}

static void a_fiber_priority_has_its_line(void **const state)
{
    (void)state;
    assert_int_equal(bh_line_priority_of(BH_FIBER_HIGH), BH_LINE_HIGH);
    assert_int_equal(bh_line_priority_of(BH_FIBER_NORMAL), BH_LINE_NORMAL);
    assert_int_equal(bh_line_priority_of(BH_FIBER_LOW), BH_LINE_LOW);
}

static void priorities_go_first_and_arrival_within_them(void **const state)
{
    (void)state;
    static const enum bh_line_priority priorities[] = { BH_LINE_LOW, BH_LINE_NORMAL, BH_LINE_HIGH,
                                                        BH_LINE_LOW, BH_LINE_NORMAL, BH_LINE_HIGH };
    static const unsigned expected[] = { 2, 5, 1, 4, 0, 3 };
    struct bh_line_place places[6];
    assert_null(bh_line_next(&line, 2));
    for (unsigned i = 0; i < 6; i++)
        join(&places[i], priorities[i], 0);
    assert_ptr_equal(bh_line_first(&line, BH_LINE_LOW), &places[0]);
    for (unsigned i = 0; i < 6; i++) {
        assert_ptr_equal(bh_line_next(&line, 2), &places[expected[i]]);
        serve(&places[expected[i]]);
    }
    assert_null(bh_line_first(&line, BH_LINE_LOW));
    assert_int_equal(line.count, 0);
}

static void the_newest_of_the_lowest_gives_way(void **const state)
{
    (void)state;
    struct bh_line_place low[2], normal, high;
    join(&high, BH_LINE_HIGH, 0);
    assert_null(bh_line_last_below(&line, BH_LINE_HIGH));
    join(&normal, BH_LINE_NORMAL, 0);
    join(&low[0], BH_LINE_LOW, 0);
    join(&low[1], BH_LINE_LOW, 0);
    assert_ptr_equal(bh_line_last_below(&line, BH_LINE_HIGH), &low[1]);
    assert_ptr_equal(bh_line_last_below(&line, BH_LINE_NORMAL), &low[1]);
    assert_null(bh_line_last_below(&line, BH_LINE_LOW));
    bh_line_leave(&line, &low[0]);
    bh_line_leave(&line, &low[1]);
    assert_ptr_equal(bh_line_last_below(&line, BH_LINE_HIGH), &normal);
    assert_null(bh_line_last_below(&line, BH_LINE_NORMAL));
}

static void a_tenant_at_its_cap_is_passed_and_borrows_what_is_left(void **const state)
{
    (void)state;
    struct bh_line_place one[2], other[2], nobody;
    assert_int_equal(bh_line_cap(4, 50), 2);
    assert_int_equal(bh_line_cap(1, 50), 1);
    assert_int_equal(bh_line_cap(4, 0), 0);
    bh_line_took(&line, 1);
    bh_line_took(&line, 1);
    join(&one[0], BH_LINE_NORMAL, 1);
    join(&one[1], BH_LINE_NORMAL, 1);
    assert_ptr_equal(bh_line_next(&line, 2), &one[0]); /* only its own wait */
    join(&other[0], BH_LINE_NORMAL, 2);
    join(&nobody, BH_LINE_NORMAL, 0);
    assert_ptr_equal(bh_line_next(&line, 0), &one[0]);
    assert_ptr_equal(bh_line_next(&line, 3), &one[0]);
    assert_ptr_equal(bh_line_next(&line, 2), &other[0]);
    serve(&other[0]);
    assert_ptr_equal(bh_line_next(&line, 2), &nobody); /* has no share to exceed */
    serve(&nobody);
    bh_line_took(&line, 2);
    join(&other[1], BH_LINE_NORMAL, 2);
    assert_ptr_equal(bh_line_next(&line, 2), &one[0]); /* both are at it: who came first */
    bh_line_gave_back(&line, 2);
    assert_ptr_equal(bh_line_next(&line, 2), &other[1]);
    bh_line_gave_back(&line, 1);
    assert_ptr_equal(bh_line_next(&line, 2), &one[0]);
    serve(&one[0]);
    serve(&one[1]);
    serve(&other[1]);
}

static void a_priority_counts_more_than_a_share(void **const state)
{
    (void)state;
    struct bh_line_place urgent, normal;
    bh_line_took(&line, 1);
    join(&normal, BH_LINE_NORMAL, 2);
    join(&urgent, BH_LINE_HIGH, 1);
    assert_ptr_equal(bh_line_next(&line, 1), &urgent);
}

/* ---- At random, against a model that looks at everybody ---- */

enum { PLACES = 40, TENANTS = 5, STEPS = 200000 };

static struct {
    uint64_t random, sequence;
    struct bh_line_place places[PLACES];
    uint64_t joined[PLACES]; /* 0: not in line */
    unsigned held[TENANTS];
} model;

static unsigned draw(const unsigned below)
{
    model.random = model.random * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (unsigned)(model.random >> 33) % below;
}

/* The earliest of the highest priority, or of those of it that are below the cap. */
static const struct bh_line_place *model_next(const unsigned cap, const bool only_below)
{
    unsigned found = PLACES;
    for (unsigned i = 0; i < PLACES; i++) {
        const struct bh_line_place *const place = &model.places[i];
        if (!model.joined[i])
            continue;
        const struct bh_line_place *const best = found < PLACES ? &model.places[found] : NULL;
        if (best && best->priority < place->priority)
            continue;
        if (only_below && place->tenant && model.held[place->tenant] >= cap)
            continue;
        if (!best || place->priority < best->priority || model.joined[i] < model.joined[found])
            found = i;
    }
    return found < PLACES ? &model.places[found] : NULL;
}

static void assert_next(const unsigned cap)
{
    const struct bh_line_place *const first = model_next(cap, false);
    const struct bh_line_place *const below = cap ? model_next(cap, true) : NULL;
    const bool is_passed = below && below->priority == first->priority;
    assert_ptr_equal(bh_line_next(&line, cap), is_passed ? below : first);
}

static void step(void)
{
    const unsigned i = draw(PLACES), cap = draw(4);
    struct bh_line_place *const next = bh_line_next(&line, cap);
    if (!model.joined[i] && draw(3) > 0) {
        join(&model.places[i], draw(BH_LINE_PRIORITIES), draw(TENANTS));
        model.joined[i] = ++model.sequence;
    } else if (model.joined[i] && draw(3) == 0) {
        bh_line_leave(&line, &model.places[i]);
        model.joined[i] = 0;
    } else if (next) {
        serve(next);
        model.joined[next - model.places] = 0;
        model.held[next->tenant]++;
    }
    const uint32_t tenant = draw(TENANTS);
    if (model.held[tenant] > 0 && draw(2)) {
        bh_line_gave_back(&line, tenant);
        model.held[tenant]--;
    }
    assert_next(draw(4));
}

static void a_random_line_is_as_the_model_says(void **const state)
{
    (void)state;
    memset(&model, 0, sizeof(model));
    for (unsigned i = 0; i < STEPS; i++)
        step();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_fiber_priority_has_its_line),
        TEST(priorities_go_first_and_arrival_within_them),
        TEST(the_newest_of_the_lowest_gives_way),
        TEST(a_tenant_at_its_cap_is_passed_and_borrows_what_is_left),
        TEST(a_priority_counts_more_than_a_share),
        TEST(a_random_line_is_as_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
