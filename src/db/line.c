#include "db/line.h"

#include "bulkhead/base/assert.h"

static unsigned slot_of(const uint32_t tenant)
{
    return (tenant * 2654435761u) >> 24; /* 256 slots */
}

enum bh_line_priority bh_line_priority_of(const enum bh_fiber_priority priority)
{
    static const enum bh_line_priority priorities[] = {
        [BH_FIBER_NORMAL] = BH_LINE_NORMAL,
        [BH_FIBER_HIGH] = BH_LINE_HIGH,
        [BH_FIBER_LOW] = BH_LINE_LOW,
    };
    return priorities[priority];
}

void bh_line_init(struct bh_line *const line)
{
    *line = (struct bh_line){ 0 };
    for (unsigned i = 0; i < BH_LINE_PRIORITIES; i++)
        bh_list_init(&line->places[i]);
}

/* ---- In and out ---- */

void bh_line_join(struct bh_line *const line, struct bh_line_place *const place)
{
    bh_list_append(&line->places[place->priority], &place->node);
    line->count++;
    if (place->tenant)
        line->waiting[slot_of(place->tenant)]++;
}

void bh_line_leave(struct bh_line *const line, struct bh_line_place *const place)
{
    bh_assert(line->count > 0);
    bh_list_unlink(&place->node);
    line->count--;
    if (place->tenant)
        line->waiting[slot_of(place->tenant)]--;
}

void bh_line_took(struct bh_line *const line, const uint32_t tenant)
{
    if (tenant)
        line->held[slot_of(tenant)]++;
}

void bh_line_gave_back(struct bh_line *const line, const uint32_t tenant)
{
    if (!tenant)
        return;
    unsigned *const held = &line->held[slot_of(tenant)];
    bh_assert(*held > 0);
    (*held)--;
}

/* ---- Who is next ---- */

unsigned bh_line_cap(const unsigned connections, const unsigned percent)
{
    const unsigned cap = connections * percent / 100;
    return percent > 0 && cap == 0 ? 1 : cap;
}

static bool is_at_cap(const struct bh_line *const line, const struct bh_line_place *const place,
                      const unsigned cap)
{
    return place->tenant && line->held[slot_of(place->tenant)] >= cap;
}

/* Whether all who wait are of this one's tenant: then there is nobody to pass it. */
static bool is_among_its_own(const struct bh_line *const line,
                             const struct bh_line_place *const place)
{
    return place->tenant && line->waiting[slot_of(place->tenant)] == line->count;
}

static struct bh_line_place *next_of(const struct bh_line *const line,
                                     const enum bh_line_priority priority, const unsigned cap)
{
    struct bh_line_place *const first = bh_line_first(line, priority);
    if (!first || cap == 0 || is_among_its_own(line, first))
        return first;
    BH_LIST_FOREACH(node, &line->places[priority]) {
        struct bh_line_place *const place = bh_line_place_at(node);
        if (!is_at_cap(line, place, cap))
            return place;
    }
    return first;
}

struct bh_line_place *bh_line_next(const struct bh_line *const line, const unsigned cap)
{
    struct bh_line_place *next = NULL;
    for (unsigned i = 0; i < BH_LINE_PRIORITIES && !next; i++)
        next = next_of(line, i, cap);
    return next;
}

struct bh_line_place *bh_line_first(const struct bh_line *const line,
                                    const enum bh_line_priority priority)
{
    const struct bh_list *const places = &line->places[priority];
    return bh_list_is_empty(places) ? NULL : bh_line_place_at(places->next);
}

struct bh_line_place *bh_line_last_below(const struct bh_line *const line,
                                         const enum bh_line_priority priority)
{
    for (enum bh_line_priority lower = BH_LINE_PRIORITIES - 1; lower > priority; lower--) {
        if (!bh_list_is_empty(&line->places[lower]))
            return bh_line_place_at(line->places[lower].prev);
    }
    return NULL;
}

void bh_line_check(const struct bh_line *const line)
{
    unsigned count = 0, of_tenants = 0, waiting = 0;
    for (unsigned i = 0; i < BH_LINE_PRIORITIES; i++) {
        BH_LIST_FOREACH(node, &line->places[i]) {
            const struct bh_line_place *const place = bh_line_place_at(node);
            bh_assert(place->priority == i);
            of_tenants += place->tenant != 0;
            count++;
        }
    }
    for (unsigned i = 0; i < BH_LINE_TENANT_SLOTS; i++)
        waiting += line->waiting[i];
    bh_assert(count == line->count && waiting == of_tenants);
}
