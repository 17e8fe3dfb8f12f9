/*
 * Circuit breakers. State and generation are one atomic word, which changes under the mutex alone;
 * a closed breaker's call reads it twice and writes its outcome into the window (breaker_window.h),
 * an open one's call reads it and the time of the next try. Only probes take the mutex.
 *
 * Each change of state begins a generation: what belongs to an older one is not counted any more.
 */
#include "bulkhead/overload/breaker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "overload/breaker_window.h"

#define BH_METRICS_FILE "overload/breaker_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define BREAKER_MAGIC 0x42524b52u
#define RETRY_OF_PROBES_US BH_SECOND_US

/* Those of bh_breaker_state, and one that shows as OPEN. */
enum state { CLOSED = BH_BREAKER_CLOSED, HALF_OPEN, OPEN, HELD };

enum probe_state { PROBE_FREE, PROBE_OUT, PROBE_DONE };

struct bh_breaker {
    BH_MAGIC_FIELD;
    struct bh_breaker_options options;
    _Atomic uint64_t word; /* generation << 2 | state; written under the mutex */
    _Atomic uint64_t open_until_us;
    struct {
        bh_metric state, rejected, failures, slow;
        bh_metric transitions[OPEN + 1];
    } metrics;
    struct {
        pthread_mutex_t mutex;
        struct {
            enum probe_state state;
            uint64_t begun_us;
        } probes[BH_BREAKER_PROBES_MAXIMUM];
        struct bh_breaker_counts probed; /* of those done */
    } shared;
    struct bh_breaker_window window; /* last: its length is an option */
};

const char *const bh_breaker_state_names[] = { "closed", "half_open", "open" };

static struct {
    pthread_mutex_t mutex;
    struct bh_breaker *breakers[BH_BREAKERS_MAXIMUM];
    size_t count;
} shared_registry = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static enum state state_of(const uint64_t word)
{
    return (enum state)(word & 3);
}

static uint32_t generation_of(const uint64_t word)
{
    return (uint32_t)(word >> 2);
}

static enum bh_breaker_state shown(const enum state state)
{
    return state == HELD ? BH_BREAKER_OPEN : (enum bh_breaker_state)state;
}

/* ---- Life ---- */

void bh_breaker_options_default(struct bh_breaker_options *const ret_options)
{
    *ret_options = (struct bh_breaker_options){
        .window_calls = 100,
        .window_us = 60 * BH_SECOND_US,
        .calls_minimum = 20,
        .failure_percent = 50,
        .slow_percent = 80,
        .slow_us = 10 * BH_SECOND_US,
        .open_us = 60 * BH_SECOND_US,
        .probes = 10,
        .probe_timeout_us = 60 * BH_SECOND_US,
    };
}

static int check_options(const struct bh_breaker_options *const options,
                         struct bh_error *const reterr)
{
    if (options->window_calls < 1 || options->window_calls > BH_BREAKER_WINDOW_MAXIMUM)
        return bh_error_set(reterr, BH_EINVAL, "a breaker's window is %u calls; it takes 1 to %d",
                            options->window_calls, BH_BREAKER_WINDOW_MAXIMUM);
    if (options->calls_minimum < 1 || options->calls_minimum > options->window_calls)
        return bh_error_set(reterr, BH_EINVAL,
                            "a breaker's least number of calls is %u; it takes 1 to its window, %u",
                            options->calls_minimum, options->window_calls);
    if (options->probes < 1 || options->probes > BH_BREAKER_PROBES_MAXIMUM)
        return bh_error_set(reterr, BH_EINVAL, "a breaker has %u probes; it takes 1 to %d",
                            options->probes, BH_BREAKER_PROBES_MAXIMUM);
    if (options->failure_percent < 1 || options->failure_percent > 100 ||
        options->slow_percent < 1 || options->slow_percent > 100)
        return bh_error_set(reterr, BH_EINVAL, "a breaker's rates are percentages, 1 to 100");
    return 0;
}

static void register_metrics(struct bh_breaker *const breaker)
{
    const struct bh_breaker_options *const options = &breaker->options;
    const char *labels[] = { options->dependency, options->operation, NULL };
    bh_metrics_register(metric_families, METRIC_COUNT);
    breaker->metrics.state = bh_metrics_child(&metric_families[METRIC_state], labels, 2);
    breaker->metrics.rejected = bh_metrics_child(&metric_families[METRIC_rejected], labels, 2);
    breaker->metrics.failures = bh_metrics_child(&metric_families[METRIC_failures], labels, 2);
    breaker->metrics.slow = bh_metrics_child(&metric_families[METRIC_slow], labels, 2);
    for (enum bh_breaker_state to = BH_BREAKER_CLOSED; to <= BH_BREAKER_OPEN; to++) {
        labels[2] = bh_breaker_state_names[to];
        breaker->metrics.transitions[to] = bh_metrics_child(&metric_families[METRIC_transitions],
                                                            labels, 3);
    }
}

int bh_breaker_create(const struct bh_breaker_options *const options,
                      struct bh_breaker **const ret_breaker, struct bh_error *const reterr)
{
    const int result = check_options(options, reterr);
    if (result)
        return result;
    struct bh_breaker *const breaker = calloc(
        1, sizeof(*breaker) + options->window_calls * sizeof(breaker->window.outcomes[0]));
    if (!breaker)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a circuit breaker");
    breaker->magic = BREAKER_MAGIC;
    breaker->options = *options;
    breaker->window.size = options->window_calls;
    atomic_init(&breaker->word, (UINT64_C(1) << 2) + CLOSED);
    pthread_mutex_init(&breaker->shared.mutex, NULL);
    register_metrics(breaker);

    pthread_mutex_lock(&shared_registry.mutex);
    bh_assert(shared_registry.count < BH_BREAKERS_MAXIMUM);
    shared_registry.breakers[shared_registry.count++] = breaker;
    pthread_mutex_unlock(&shared_registry.mutex);
    *ret_breaker = breaker;
    return 0;
}

void bh_breaker_destroy(struct bh_breaker *const breaker)
{
    if (!breaker)
        return;
    bh_magic_check(breaker, BREAKER_MAGIC);
    pthread_mutex_lock(&shared_registry.mutex);
    size_t at = 0;
    while (shared_registry.breakers[at] != breaker)
        at++;
    shared_registry.count--;
    memmove(&shared_registry.breakers[at], &shared_registry.breakers[at + 1],
            (shared_registry.count - at) * sizeof(struct bh_breaker *));
    pthread_mutex_unlock(&shared_registry.mutex);
    bh_metrics_add(breaker->metrics.state, -(int64_t)shown(state_of(atomic_load(&breaker->word))));
    pthread_mutex_destroy(&breaker->shared.mutex);
    breaker->magic = 0;
    free(breaker);
}

/* ---- Changes of state; under the mutex ---- */

static void change(struct bh_breaker *const breaker, const enum state to, const uint64_t now_us)
{
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    const enum bh_breaker_state before = shown(state_of(word)), after = shown(to);
    if (to == OPEN)
        atomic_store_explicit(&breaker->open_until_us, now_us + breaker->options.open_us,
                              memory_order_relaxed);
    memset(breaker->shared.probes, 0, sizeof(breaker->shared.probes));
    breaker->shared.probed = (struct bh_breaker_counts){ 0 };
    atomic_store_explicit(&breaker->word, (uint64_t)(generation_of(word) + 1) << 2 | to,
                          memory_order_release);
    bh_metrics_add(breaker->metrics.state, (int64_t)after - (int64_t)before);
    if (after != before)
        bh_metrics_add(breaker->metrics.transitions[after], 1);
}

static void open_for(struct bh_breaker *const breaker, const struct bh_breaker_counts counts,
                     const char *const which, const uint64_t now_us)
{
    change(breaker, OPEN, now_us);
    bh_log_warning("breaker",
                   "%s, %s: of the last %u %s %u failed and %u were slow; calls are refused for "
                   "%.0f s",
                   breaker->options.dependency, breaker->options.operation, counts.calls, which,
                   counts.failed, counts.slow, (double)breaker->options.open_us / 1e6);
}

static bool is_too_bad(const struct bh_breaker_options *const options,
                       const struct bh_breaker_counts counts, const unsigned calls)
{
    return counts.failed * 100 >= options->failure_percent * calls ||
           counts.slow * 100 >= options->slow_percent * calls;
}

/* ---- Probes; under the mutex ---- */

static void judge_probes(struct bh_breaker *const breaker, const uint64_t now_us)
{
    const struct bh_breaker_counts counts = breaker->shared.probed;
    if (is_too_bad(&breaker->options, counts, breaker->options.probes)) {
        open_for(breaker, counts, "probes", now_us);
    } else if (counts.calls == breaker->options.probes) {
        change(breaker, CLOSED, now_us);
        bh_log_info("breaker", "%s, %s: works again; calls are made as before",
                    breaker->options.dependency, breaker->options.operation);
    }
}

static void end_probe(struct bh_breaker *const breaker, const unsigned number,
                      const bool has_failed, const bool was_slow)
{
    breaker->shared.probes[number].state = PROBE_DONE;
    breaker->shared.probed.calls++;
    breaker->shared.probed.failed += has_failed;
    breaker->shared.probed.slow += was_slow;
}

static void give_up_lost_probes(struct bh_breaker *const breaker, const uint64_t now_us)
{
    for (unsigned i = 0; i < breaker->options.probes; i++) {
        if (breaker->shared.probes[i].state == PROBE_OUT &&
            breaker->shared.probes[i].begun_us + breaker->options.probe_timeout_us <= now_us)
            end_probe(breaker, i, true, true);
    }
    judge_probes(breaker, now_us);
}

/* Whether a probe was free, and is the caller's now. */
static bool take_probe(struct bh_breaker *const breaker, const uint64_t now_us,
                       struct bh_breaker_permit *const ret_permit)
{
    for (unsigned i = 0; i < breaker->options.probes; i++) {
        if (breaker->shared.probes[i].state != PROBE_FREE)
            continue;
        breaker->shared.probes[i].state = PROBE_OUT;
        breaker->shared.probes[i].begun_us = now_us;
        ret_permit->generation = generation_of(atomic_load(&breaker->word));
        ret_permit->probe = i + 1;
        return true;
    }
    return false;
}

/* ---- Calls ---- */

static uint64_t retry_us(const struct bh_breaker *const breaker, const enum state state,
                         const uint64_t now_us)
{
    const uint64_t until_us = atomic_load_explicit(&breaker->open_until_us, memory_order_relaxed);
    if (state == HALF_OPEN)
        return RETRY_OF_PROBES_US;
    return state == OPEN && until_us > now_us ? until_us - now_us : 0;
}

static int refuse(struct bh_breaker *const breaker, const enum state state, const uint64_t now_us,
                  struct bh_error *const reterr)
{
    bh_metrics_add(breaker->metrics.rejected, 1);
    const unsigned seconds = (unsigned)((retry_us(breaker, state, now_us) + BH_SECOND_US - 1) /
                                        BH_SECOND_US);
    return bh_error_set_retry(reterr, BH_EUNAVAILABLE, seconds,
                              "%s (%s) failed too often and is left alone for now: try again in "
                              "%u s",
                              breaker->options.dependency, breaker->options.operation, seconds);
}

/* The breaker was open, or is half-open. */
static int try_probe(struct bh_breaker *const breaker, const uint64_t now_us,
                     struct bh_breaker_permit *const ret_permit, struct bh_error *const reterr)
{
    pthread_mutex_lock(&breaker->shared.mutex);
    enum state state = state_of(atomic_load_explicit(&breaker->word, memory_order_relaxed));
    if (state == OPEN && retry_us(breaker, OPEN, now_us) == 0)
        change(breaker, HALF_OPEN, now_us);
    else if (state == HALF_OPEN)
        give_up_lost_probes(breaker, now_us);
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    state = state_of(word);
    bool may_pass = state == CLOSED || state == HELD;
    if (may_pass)
        *ret_permit = (struct bh_breaker_permit){ .generation = generation_of(word) };
    else if (state == HALF_OPEN)
        may_pass = take_probe(breaker, now_us, ret_permit);
    pthread_mutex_unlock(&breaker->shared.mutex);
    return may_pass ? 0 : refuse(breaker, state, now_us, reterr);
}

int bh_breaker_enter(struct bh_breaker *const breaker, const uint64_t now_us,
                     struct bh_breaker_permit *const ret_permit, struct bh_error *const reterr)
{
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
    const enum state state = state_of(word);
    if (BH_LIKELY(state == CLOSED || state == HELD)) {
        *ret_permit = (struct bh_breaker_permit){ .generation = generation_of(word) };
        return 0;
    }
    if (state == OPEN && retry_us(breaker, OPEN, now_us) > 0)
        return refuse(breaker, OPEN, now_us, reterr);
    return try_probe(breaker, now_us, ret_permit, reterr);
}

static void leave_probe(struct bh_breaker *const breaker, const struct bh_breaker_permit permit,
                        const enum bh_breaker_outcome outcome, const bool was_slow,
                        const uint64_t now_us)
{
    const unsigned number = permit.probe - 1;
    pthread_mutex_lock(&breaker->shared.mutex);
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    if (generation_of(word) == permit.generation &&
        breaker->shared.probes[number].state == PROBE_OUT) {
        if (outcome == BH_BREAKER_IGNORED || outcome == BH_BREAKER_REFUSED) {
            breaker->shared.probes[number].state = PROBE_FREE;
        } else {
            end_probe(breaker, number, outcome == BH_BREAKER_FAILURE, was_slow);
            judge_probes(breaker, now_us);
        }
    }
    pthread_mutex_unlock(&breaker->shared.mutex);
}

/* After a call that failed or was slow. */
static void judge(struct bh_breaker *const breaker, const uint32_t generation,
                  const uint64_t now_us)
{
    const struct bh_breaker_options *const options = &breaker->options;
    const struct bh_breaker_counts counts = bh_breaker_window_count(&breaker->window, generation,
                                                                    now_us, options->window_us);
    if (counts.calls < options->calls_minimum || !is_too_bad(options, counts, counts.calls))
        return;
    pthread_mutex_lock(&breaker->shared.mutex);
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    if (generation_of(word) == generation && state_of(word) == CLOSED)
        open_for(breaker, counts, "calls", now_us);
    pthread_mutex_unlock(&breaker->shared.mutex);
}

void bh_breaker_leave(struct bh_breaker *const breaker, const struct bh_breaker_permit permit,
                      const enum bh_breaker_outcome outcome, const uint64_t duration_us,
                      const uint64_t now_us)
{
    const bool has_failed = outcome == BH_BREAKER_FAILURE;
    const bool is_judged = has_failed || outcome == BH_BREAKER_SUCCESS;
    const bool was_slow = is_judged && duration_us >= breaker->options.slow_us;
    if (BH_UNLIKELY(outcome == BH_BREAKER_REFUSED))
        bh_metrics_add(breaker->metrics.rejected, 1);
    if (BH_UNLIKELY(has_failed))
        bh_metrics_add(breaker->metrics.failures, 1);
    if (BH_UNLIKELY(was_slow))
        bh_metrics_add(breaker->metrics.slow, 1);
    if (BH_UNLIKELY(permit.probe > 0)) {
        leave_probe(breaker, permit, outcome, was_slow, now_us);
        return;
    }
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    if (!is_judged || state_of(word) != CLOSED || generation_of(word) != permit.generation)
        return;
    bh_breaker_window_record(
        &breaker->window, bh_breaker_outcome_word(now_us, permit.generation, has_failed, was_slow));
    if (BH_UNLIKELY(has_failed || was_slow))
        judge(breaker, permit.generation, now_us);
}

/* ---- Held by another watch ---- */

static void change_from(struct bh_breaker *const breaker, const bool is_held, const enum state to,
                        const uint64_t now_us)
{
    pthread_mutex_lock(&breaker->shared.mutex);
    const enum state state = state_of(atomic_load_explicit(&breaker->word, memory_order_relaxed));
    if ((state == HELD) == is_held)
        change(breaker, to, now_us);
    pthread_mutex_unlock(&breaker->shared.mutex);
}

void bh_breaker_hold(struct bh_breaker *const breaker, const uint64_t now_us)
{
    change_from(breaker, false, HELD, now_us);
}

void bh_breaker_free(struct bh_breaker *const breaker, const uint64_t now_us)
{
    change_from(breaker, true, CLOSED, now_us);
}

bool bh_breaker_is_held(const struct bh_breaker *const breaker)
{
    return state_of(atomic_load_explicit(&breaker->word, memory_order_relaxed)) == HELD;
}

/* ---- Figures ---- */

void bh_breaker_status(struct bh_breaker *const breaker, const uint64_t now_us,
                       struct bh_breaker_status *const ret_status)
{
    bh_magic_check(breaker, BREAKER_MAGIC);
    pthread_mutex_lock(&breaker->shared.mutex);
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    const enum state state = state_of(word);
    const struct bh_breaker_counts counts =
        state == HALF_OPEN ? breaker->shared.probed
                           : bh_breaker_window_count(&breaker->window, generation_of(word), now_us,
                                                     breaker->options.window_us);
    pthread_mutex_unlock(&breaker->shared.mutex);
    *ret_status = (struct bh_breaker_status){
        .dependency = breaker->options.dependency,
        .operation = breaker->options.operation,
        .state = shown(state),
        .is_held = state == HELD,
        .calls = counts.calls,
        .failed = counts.failed,
        .slow = counts.slow,
        .retry_us = state == OPEN ? retry_us(breaker, OPEN, now_us) : 0,
        .opened = (uint64_t)bh_metrics_value(breaker->metrics.transitions[BH_BREAKER_OPEN]),
        .rejected = (uint64_t)bh_metrics_value(breaker->metrics.rejected),
    };
}

size_t bh_breaker_list(struct bh_breaker_status *const ret_statuses, const size_t maximum,
                       const uint64_t now_us)
{
    pthread_mutex_lock(&shared_registry.mutex);
    const size_t count = shared_registry.count < maximum ? shared_registry.count : maximum;
    for (size_t i = 0; i < count; i++)
        bh_breaker_status(shared_registry.breakers[i], now_us, &ret_statuses[i]);
    pthread_mutex_unlock(&shared_registry.mutex);
    return count;
}
