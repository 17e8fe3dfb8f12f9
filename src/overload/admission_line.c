#include "overload/admission_line.h"

#include "bulkhead/base/time.h"

#define WINDOW_US (100 * BH_MS_US)
#define WINDOW_SAMPLES 10 /* fewer say little: the window goes on */
#define WINDOW_LONGEST_US BH_SECOND_US
#define SERVICE_WEIGHT 0.2 /* of a window */
#define DELAY_TARGET_US (50 * BH_MS_US)
#define DELAY_INTERVAL_US BH_SECOND_US
#define AHEAD_US (10 * BH_MS_US) /* of work is enough in the line until more can be called in */
#define LOOP_DELAY_US (20 * BH_MS_US) /* past it there is too much in hand, whatever it is */

void bh_admission_line_init(struct bh_admission_line *const line,
                            const struct bh_admission_class_options *const options,
                            const unsigned waiters_maximum, const uint64_t wait_us,
                            void (*const tell)(struct bh_admission_ticket *ticket,
                                               enum bh_admission_verdict verdict))
{
    *line = (struct bh_admission_line){ .percent = 100,
                                        .waiters_maximum = waiters_maximum,
                                        .wait_us = wait_us,
                                        .is_timed = options->is_timed,
                                        .tell = tell };
    bh_gradient_init(&line->gradient, options->initial, options->minimum, options->maximum);
    bh_codel_init(&line->codel, DELAY_TARGET_US, DELAY_INTERVAL_US);
    for (int i = 0; i < BH_ADMISSION_PRIORITIES; i++)
        bh_list_init(&line->waiters[i]);
}

unsigned bh_admission_line_limit(const struct bh_admission_line *const line)
{
    const unsigned limit = bh_gradient_limit(&line->gradient) * line->percent / 100;
    return limit < 1 ? 1 : limit;
}

/* ---- Windows ---- */

static void end_window(struct bh_admission_line *const line)
{
    const bool has_samples = line->window.count > 0;
    const double mean_us = has_samples ? (double)line->window.sum_us / (double)line->window.count
                                       : 0;
    if (has_samples)
        line->service_us += line->service_us > 0 ? (mean_us - line->service_us) * SERVICE_WEIGHT
                                                 : mean_us;
    bh_gradient_step(&line->gradient,
                     &(struct bh_gradient_window){
                         .mean_us = mean_us,
                         .in_hand = line->window.in_hand,
                         .is_timed = line->is_timed && line->window.count >= WINDOW_SAMPLES,
                         .is_delayed = line->window.delay_us >= LOOP_DELAY_US,
                     });
    line->window.begun_us = 0;
    line->window.sum_us = 0;
    line->window.count = 0;
    line->window.in_hand = line->in_hand;
    line->window.delay_us = 0;
}

static void advance(struct bh_admission_line *const line, const uint64_t now_us)
{
    if (line->window.begun_us == 0)
        line->window.begun_us = now_us;
    const uint64_t passed_us = now_us > line->window.begun_us ? now_us - line->window.begun_us : 0;
    if (passed_us >= WINDOW_LONGEST_US ||
        (passed_us >= WINDOW_US && (line->window.count >= WINDOW_SAMPLES || !line->is_timed)))
        end_window(line);
}

static void take_in_hand(struct bh_admission_line *const line)
{
    line->in_hand++;
    if (line->in_hand > line->window.in_hand)
        line->window.in_hand = line->in_hand;
}

/* ---- The line ---- */

static void remove_waiter(struct bh_admission_line *const line,
                          struct bh_admission_ticket *const ticket)
{
    bh_list_unlink(&ticket->node);
    ticket->is_waiting = false;
    line->waiting--;
    line->waiting_of[ticket->priority]--;
}

static void refuse(struct bh_admission_line *const line, struct bh_admission_ticket *const ticket,
                   const enum bh_admission_verdict verdict)
{
    remove_waiter(line, ticket);
    line->tell(ticket, verdict);
}

static struct bh_admission_ticket *first_of(const struct bh_list *const waiters)
{
    return bh_list_is_empty(waiters)
               ? NULL
               : BH_LIST_ENTRY(waiters->next, struct bh_admission_ticket, node);
}

static bool is_too_late(const struct bh_admission_line *const line,
                        const struct bh_admission_ticket *const ticket, const uint64_t wait_us,
                        const uint64_t now_us)
{
    return ticket->deadline_us != BH_NEVER_US && line->is_timed &&
           now_us + wait_us + (uint64_t)line->service_us > ticket->deadline_us;
}

uint64_t bh_admission_line_expected_us(const struct bh_admission_line *const line,
                                       const enum bh_admission_priority priority)
{
    unsigned ahead = 0;
    for (int i = 0; i <= (int)priority; i++)
        ahead += line->waiting_of[i];
    return (uint64_t)(line->service_us * (ahead + 1) / bh_admission_line_limit(line));
}

unsigned bh_admission_line_room(const struct bh_admission_line *const line)
{
    const unsigned limit = bh_admission_line_limit(line);
    const double per_us = line->service_us > 0 ? limit / line->service_us : 0;
    unsigned waiters = (unsigned)(AHEAD_US * per_us);
    if (waiters < limit)
        waiters = limit;
    if (per_us > 0 && waiters > (double)line->wait_us / 2 * per_us)
        waiters = (unsigned)((double)line->wait_us / 2 * per_us);
    if (waiters > line->waiters_maximum / 2)
        waiters = line->waiters_maximum / 2;
    const unsigned all = limit + waiters, taken = line->in_hand + line->waiting;
    return all > taken ? all - taken : 0;
}

void bh_admission_line_serve(struct bh_admission_line *const line, const uint64_t now_us)
{
    const unsigned limit = bh_admission_line_limit(line);
    for (int i = 0; i < BH_ADMISSION_PRIORITIES; i++) {
        struct bh_admission_ticket *ticket;
        while (line->in_hand < limit && (ticket = first_of(&line->waiters[i])) != NULL) {
            if (is_too_late(line, ticket, 0, now_us)) {
                refuse(line, ticket, BH_ADMISSION_TOO_LATE);
                continue;
            }
            const uint64_t delay_us = now_us > ticket->asked_us ? now_us - ticket->asked_us : 0;
            remove_waiter(line, ticket);
            take_in_hand(line);
            line->tell(ticket, BH_ADMISSION_GRANTED);
            struct bh_admission_ticket *const low = first_of(&line->waiters[BH_ADMISSION_LOW]);
            if (bh_codel_step(&line->codel, delay_us, now_us) && low)
                refuse(line, low, BH_ADMISSION_SHED);
        }
    }
}

/* The newest of a lower priority gives its place up; whether there was one. */
static bool displace(struct bh_admission_line *const line,
                     const enum bh_admission_priority priority)
{
    for (int i = BH_ADMISSION_PRIORITIES - 1; i > (int)priority; i--) {
        if (bh_list_is_empty(&line->waiters[i]))
            continue;
        refuse(line, BH_LIST_ENTRY(line->waiters[i].prev, struct bh_admission_ticket, node),
               BH_ADMISSION_FULL);
        return true;
    }
    return false;
}

enum bh_admission_verdict bh_admission_line_ask(struct bh_admission_line *const line,
                                                struct bh_admission_ticket *const ticket,
                                                const uint64_t now_us, const uint64_t loop_delay_us)
{
    if (loop_delay_us > line->window.delay_us)
        line->window.delay_us = loop_delay_us;
    advance(line, now_us);
    if (line->waiting > 0) /* the limit may have grown */
        bh_admission_line_serve(line, now_us);
    if (line->waiting == 0 && line->in_hand < bh_admission_line_limit(line)) {
        if (is_too_late(line, ticket, 0, now_us))
            return BH_ADMISSION_TOO_LATE;
        bh_codel_rest(&line->codel);
        take_in_hand(line);
        return BH_ADMISSION_GRANTED;
    }
    const uint64_t expected_us = bh_admission_line_expected_us(line, ticket->priority);
    if (is_too_late(line, ticket, expected_us, now_us))
        return BH_ADMISSION_TOO_LATE;
    if (expected_us > line->wait_us)
        return BH_ADMISSION_FULL;
    if (line->waiting >= line->waiters_maximum && !displace(line, ticket->priority))
        return BH_ADMISSION_FULL;
    ticket->asked_us = now_us;
    ticket->is_waiting = true;
    bh_list_append(&line->waiters[ticket->priority], &ticket->node);
    line->waiting++;
    line->waiting_of[ticket->priority]++;
    return BH_ADMISSION_WAITS;
}

bool bh_admission_line_withdraw(struct bh_admission_line *const line,
                                struct bh_admission_ticket *const ticket)
{
    if (!ticket->is_waiting)
        return false;
    remove_waiter(line, ticket);
    return true;
}

void bh_admission_line_finish(struct bh_admission_line *const line, const uint64_t service_us,
                              const uint64_t now_us)
{
    line->in_hand--;
    if (service_us > 0) {
        line->window.sum_us += service_us;
        line->window.count++;
    }
    advance(line, now_us);
    if (line->waiting > 0)
        bh_admission_line_serve(line, now_us);
}
