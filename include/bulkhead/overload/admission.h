/*
 * Admission: how many requests of each class are in hand at a time, over all loops. The limit
 * follows how long they take; past it a request waits in a bounded line, by priority, first come,
 * first served. Who could not be answered in time anyway is refused at once.
 *
 *     struct bh_admission_ticket ticket;
 *     result = bh_admission_enter(class, BH_ADMISSION_NORMAL, &ticket, &error);
 *     if (result)
 *         return bh_respond_failure(request, &error);      // 503 with Retry-After
 *     … the work …
 *     bh_admission_leave(&ticket, says_how_long_they_take);
 *
 * Any thread; a short lock for each class. Rules: src/overload/README.md.
 */
#pragma once

#include "bulkhead/base/list.h"
#include "bulkhead/base/time.h"
#include "bulkhead/overload/waiter.h"

struct bh_admission;       /* opaque */
struct bh_admission_class; /* opaque */

enum bh_admission_priority {
    BH_ADMISSION_HIGH,
    BH_ADMISSION_NORMAL,
    BH_ADMISSION_LOW, /* the first to be shed */
    BH_ADMISSION_PRIORITIES
};

struct bh_admission_class_options {
    const char *name;                   /* static, as a metrics label: "search" */
    unsigned initial, minimum, maximum; /* requests in hand; 1 ≤ minimum ≤ initial ≤ maximum */
    bool is_timed; /* the limit follows how long they take; else (uploads, streams, whose time is
                      their client's) it follows the loops' delay alone */
};

#define BH_ADMISSION_CLASSES_MAXIMUM 16

struct bh_admission_options {
    const struct bh_admission_class_options *classes;
    size_t class_count;
    unsigned waiters_maximum; /* of one class */
    uint64_t wait_us;         /* who would have to wait for longer is refused at once */
};

/* BH_EINVAL: the message names the class. `options` is copied. */
int bh_admission_create(const struct bh_admission_options *options,
                        struct bh_admission **ret_admission, struct bh_error *reterr) BH_MUST_CHECK;
/* Nothing may be in hand or wait. NULL is fine. */
void bh_admission_destroy(struct bh_admission *admission);

/* The class of that name, else the last of the options. */
struct bh_admission_class *bh_admission_find(struct bh_admission *admission, const char *name);

/* In the caller's memory until left. */
struct bh_admission_ticket {
    struct bh_admission_class *class; /* private, as the rest */
    enum bh_admission_priority priority;
    uint64_t deadline_us;
    uint64_t asked_us, begun_us;
    bool is_waiting; /* under the class's mutex */
    int verdict;
    struct bh_waiter waiter;
    struct bh_list node;
};

/* From a fiber, whose deadline counts: 0 with the ticket in hand. BH_EBUSY: too many wait, or the
 * deadline would be missed; the error says when to try again. BH_ECANCELED, BH_ETIMEDOUT. */
int bh_admission_enter(struct bh_admission_class *class, enum bh_admission_priority priority,
                       struct bh_admission_ticket *ticket, struct bh_error *reterr) BH_MUST_CHECK;

/* Once for each successful enter. `is_sample`: the request was worked on to its end. */
void bh_admission_leave(struct bh_admission_ticket *ticket, bool is_sample);

/* How many more requests of the class the line needs lest it run empty before others can be called
 * in: as many as are in hand, or work for 10 ms, and never more than half of what may wait. Those
 * past it wait as well where they are, in the kernel, where they cost nothing. */
unsigned bh_admission_room(struct bh_admission_class *class);

/* All limits are this part of what they would be, 1 to 100 percent: for when memory is short. */
void bh_admission_scale(struct bh_admission *admission, unsigned percent);

struct bh_admission_statistics {
    const char *name;
    unsigned limit, in_hand, waiting;
    uint64_t service_us; /* average of late */
    uint64_t usual_us;   /* when the limit does not press */
};

/* Of each class, in the order of the options; returns how many were written. */
size_t bh_admission_statistics(struct bh_admission *admission,
                               struct bh_admission_statistics *ret_statistics, size_t maximum);
