/*
 * How many requests of a class may be in hand at a time, found from how long they take (after
 * Netflix's Gradient2): when they take longer than they use to, there are too many of them.
 *
 * What they use to take is learnt only while the limit does not press: else, in an overload that
 * lasts, the average would follow what the overload does, and the limit would grow for ever. While
 * it presses, the limit is halved now and then for a moment, to see what they take then.
 *
 * Plain data under its owner's lock; no clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bh_gradient {
    double limit; /* read-only, as the rest */
    double minimum, maximum;
    double usual_us;      /* what requests take when the limit does not press; 0: not known */
    bool is_guess;        /* learnt in the press, for want of better */
    unsigned windows;     /* that `usual_us` is the average of, up to its memory */
    unsigned pressed;     /* windows in a row */
    unsigned probe_phase; /* 0: none; else the windows of it that are left */
};

void bh_gradient_init(struct bh_gradient *gradient, double initial, double minimum, double maximum);

/* What happened in a window of time. */
struct bh_gradient_window {
    double mean_us;   /* of requests that ended in it, without waiting for admission */
    unsigned in_hand; /* the most at a time */
    bool is_timed;    /* mean_us says something */
    bool is_delayed;  /* the loops were late */
};
void bh_gradient_step(struct bh_gradient *gradient, const struct bh_gradient_window *window);

/* The limit for now: less than `limit` while it is being probed. At least 1. */
unsigned bh_gradient_limit(const struct bh_gradient *gradient);
