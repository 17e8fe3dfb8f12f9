#include "overload/gradient.h"

#define TOLERANCE 1.5 /* taking that much longer is no sign yet */
#define GRADIENT_LEAST 0.5
#define QUEUE 4.0 /* added to each new limit, so that it grows while nothing speaks against it */
#define SMOOTHING 0.2
#define MEMORY 600 /* windows, of the usual time */
#define WARM_UP 10
#define DRIFT 0.95 /* back to a usual time that has become too long */
#define DELAYED 0.9
#define PROBE_AFTER 32   /* windows of pressing */
#define PROBE_FIRST 4    /* as long as nothing is known but what requests take in the press */
#define PROBE_WINDOWS 2  /* what was begun before it ends in the first; the second tells */
#define PROBE_WEIGHT 0.2 /* more than the windows since the last one would have had */

void bh_gradient_init(struct bh_gradient *const gradient, const double initial,
                      const double minimum, const double maximum)
{
    *gradient = (struct bh_gradient){ .limit = initial, .minimum = minimum, .maximum = maximum };
}

unsigned bh_gradient_limit(const struct bh_gradient *const gradient)
{
    const double limit = gradient->probe_phase > 0 ? gradient->limit / 2 : gradient->limit;
    return limit < 1 ? 1 : (unsigned)limit;
}

static void learn(struct bh_gradient *const gradient, const double mean_us, const double weight)
{
    gradient->usual_us += (mean_us - gradient->usual_us) * weight;
    if (gradient->windows < MEMORY)
        gradient->windows++;
}

/* Of a window in which the limit did not press: the plain average at first, then one that moves. */
static double weight_of_window(const struct bh_gradient *const gradient)
{
    return gradient->windows < WARM_UP ? 1.0 / (gradient->windows + 1) : 2.0 / (MEMORY + 1);
}

static void set_limit(struct bh_gradient *const gradient, const double limit)
{
    gradient->limit = limit < gradient->minimum   ? gradient->minimum
                      : limit > gradient->maximum ? gradient->maximum
                                                  : limit;
}

static void adapt(struct bh_gradient *const gradient, const double mean_us)
{
    if (gradient->usual_us > 2 * mean_us)
        gradient->usual_us *= DRIFT;
    double slope = TOLERANCE * gradient->usual_us / mean_us;
    slope = slope < GRADIENT_LEAST ? GRADIENT_LEAST : slope > 1 ? 1 : slope;
    const double next = gradient->limit * slope + QUEUE;
    set_limit(gradient, gradient->limit * (1 - SMOOTHING) + next * SMOOTHING);
}

void bh_gradient_step(struct bh_gradient *const gradient,
                      const struct bh_gradient_window *const window)
{
    if (gradient->probe_phase > 0) {
        if (--gradient->probe_phase == 0 && window->is_timed) {
            learn(gradient, window->mean_us, gradient->is_guess ? 1 : PROBE_WEIGHT);
            gradient->is_guess = false;
        }
        return;
    }
    if (window->is_delayed)
        set_limit(gradient, gradient->limit * DELAYED);
    const bool presses = window->in_hand >= (unsigned)gradient->limit;
    const bool is_used = 2 * window->in_hand >= (unsigned)gradient->limit;
    gradient->pressed = presses ? gradient->pressed + 1 : 0;
    if (window->is_timed && (!presses || gradient->windows == 0)) {
        gradient->is_guess = presses;
        learn(gradient, window->mean_us, weight_of_window(gradient));
    }
    if (!is_used || window->is_delayed)
        return;
    if (window->is_timed)
        adapt(gradient, window->mean_us);
    else
        set_limit(gradient, gradient->limit + QUEUE * SMOOTHING);
    if (window->is_timed && gradient->pressed >= (gradient->is_guess ? PROBE_FIRST : PROBE_AFTER)) {
        gradient->pressed = 0;
        gradient->probe_phase = PROBE_WINDOWS;
    }
}
