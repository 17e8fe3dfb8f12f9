/*
 * One class of requests: who is in hand, who waits, and how many there may be. Without fibers, and
 * each call is told the time. Under its owner's lock.
 */
#pragma once

#include "bulkhead/base/codel.h"
#include "bulkhead/overload/admission.h"
#include "overload/gradient.h"

enum bh_admission_verdict {
    BH_ADMISSION_WAITS,
    BH_ADMISSION_GRANTED,
    BH_ADMISSION_FULL,     /* too many wait, or the wait would be too long */
    BH_ADMISSION_TOO_LATE, /* it could not be answered before its deadline */
    BH_ADMISSION_SHED      /* of low priority, and the line does not get shorter */
};

struct bh_admission_line {
    struct bh_gradient gradient;
    struct bh_codel codel;
    unsigned percent; /* of the limit that is given out */
    unsigned in_hand; /* read-only, as the rest */
    unsigned waiting, waiting_of[BH_ADMISSION_PRIORITIES];
    unsigned waiters_maximum;
    uint64_t wait_us; /* the longest a newcomer may expect to wait */
    bool is_timed;
    double service_us;                               /* moving average */
    struct bh_list waiters[BH_ADMISSION_PRIORITIES]; /* struct bh_admission_ticket.node */

    struct {
        uint64_t begun_us; /* 0: with the next event */
        uint64_t sum_us;
        unsigned count;
        unsigned in_hand;  /* the most */
        uint64_t delay_us; /* of a loop, the longest */
    } window;

    /* Tells a ticket that has waited of its verdict; must not call back. */
    void (*tell)(struct bh_admission_ticket *ticket, enum bh_admission_verdict verdict);
};

void bh_admission_line_init(struct bh_admission_line *line,
                            const struct bh_admission_class_options *options,
                            unsigned waiters_maximum, uint64_t wait_us,
                            void (*tell)(struct bh_admission_ticket *ticket,
                                         enum bh_admission_verdict verdict));

/* The ticket's priority and deadline are set. Not WAITS: nothing is remembered of it but, GRANTED,
 * that it is in hand. */
enum bh_admission_verdict bh_admission_line_ask(struct bh_admission_line *line,
                                                struct bh_admission_ticket *ticket, uint64_t now_us,
                                                uint64_t loop_delay_us);

/* Whether the ticket was still waiting, and is out of the line now. */
bool bh_admission_line_withdraw(struct bh_admission_line *line, struct bh_admission_ticket *ticket);

/* One that was granted has ended. `service_us`: 0 if its time says nothing. */
void bh_admission_line_finish(struct bh_admission_line *line, uint64_t service_us, uint64_t now_us);

/* What fits into the limit by now. */
void bh_admission_line_serve(struct bh_admission_line *line, uint64_t now_us);

unsigned bh_admission_line_limit(const struct bh_admission_line *line);

/* How many more may come until those that wait are work for 10 ms, or as many as are in hand; or
 * until the line is half as long as it may be. */
unsigned bh_admission_line_room(const struct bh_admission_line *line);

/* How long a newcomer of this priority would wait. */
uint64_t bh_admission_line_expected_us(const struct bh_admission_line *line,
                                       enum bh_admission_priority priority);
