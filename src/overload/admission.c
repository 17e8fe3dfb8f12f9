/*
 * Admission: for each class a line (admission_line.h) under a mutex of its own, and fibers that
 * wait in it. The limits are shared by all loops, so that they hold and are learnt as a whole; the
 * lock is held for some tens of nanoseconds (docs/decisions/016-admission.md).
 */
#include "bulkhead/overload/admission.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/loop/fiber.h"
#include "overload/admission_line.h"

#define BH_METRICS_FILE "overload/admission_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define ADMISSION_MAGIC 0x41444d54u
#define CLASS_MAGIC 0x41444d43u
#define VERDICTS (BH_ADMISSION_SHED + 1)

struct bh_admission_class {
    BH_MAGIC_FIELD;
    const char *name;
    bh_metric limit, in_hand, waiting, wait;
    bh_metric refused[VERDICTS];
    struct {
        pthread_mutex_t mutex;
        struct bh_admission_line line;
        unsigned exposed_limit; /* as the gauge shows it */
    } shared;
};

struct bh_admission {
    BH_MAGIC_FIELD;
    size_t class_count;
    struct bh_admission_class classes[];
};

/* ---- Life ---- */

static void tell(struct bh_admission_ticket *const ticket, const enum bh_admission_verdict verdict)
{
    ticket->verdict = (int)verdict;
    bh_waiter_tell(&ticket->waiter);
}

/* With the mutex held. */
static void expose_limit(struct bh_admission_class *const class)
{
    const unsigned limit = bh_admission_line_limit(&class->shared.line);
    if (BH_LIKELY(limit == class->shared.exposed_limit))
        return;
    bh_metrics_add(class->limit, (int64_t)limit - (int64_t) class->shared.exposed_limit);
    class->shared.exposed_limit = limit;
}

static void init_class(struct bh_admission_class *const class,
                       const struct bh_admission_class_options *const options,
                       const struct bh_admission_options *const all)
{
    static const char *const reasons[VERDICTS] = {
        [BH_ADMISSION_FULL] = "full",
        [BH_ADMISSION_TOO_LATE] = "too_late",
        [BH_ADMISSION_SHED] = "shed",
    };
    class->magic = CLASS_MAGIC;
    class->name = options->name;
    const char *labels[] = { options->name, NULL };
    class->limit = bh_metrics_child(&metric_families[METRIC_limit], labels, 1);
    class->in_hand = bh_metrics_child(&metric_families[METRIC_in_hand], labels, 1);
    class->waiting = bh_metrics_child(&metric_families[METRIC_waiting], labels, 1);
    class->wait = bh_metrics_child(&metric_families[METRIC_wait], labels, 1);
    for (int i = BH_ADMISSION_FULL; i < VERDICTS; i++) {
        labels[1] = reasons[i];
        class->refused[i] = bh_metrics_child(&metric_families[METRIC_refused], labels, 2);
    }
    pthread_mutex_init(&class->shared.mutex, NULL);
    bh_admission_line_init(&class->shared.line, options, all->waiters_maximum, all->wait_us, tell);
    expose_limit(class);
}

static int check_options(const struct bh_admission_options *const options,
                         struct bh_error *const reterr)
{
    if (options->class_count < 1 || options->class_count > BH_ADMISSION_CLASSES_MAXIMUM)
        return bh_error_set(reterr, BH_EINVAL, "admission has %zu classes; it takes 1 to %d",
                            options->class_count, BH_ADMISSION_CLASSES_MAXIMUM);
    for (size_t i = 0; i < options->class_count; i++) {
        const struct bh_admission_class_options *const class = &options->classes[i];
        if (class->minimum < 1 || class->minimum > class->initial ||
            class->initial > class->maximum)
            return bh_error_set(reterr, BH_EINVAL,
                                "class %s: a limit of %u, within %u to %u: it begins at 1 or more",
                                class->name, class->initial, class->minimum, class->maximum);
    }
    return 0;
}

int bh_admission_create(const struct bh_admission_options *const options,
                        struct bh_admission **const ret_admission, struct bh_error *const reterr)
{
    const int result = check_options(options, reterr);
    if (result)
        return result;
    struct bh_admission *const admission = calloc(
        1, sizeof(*admission) + options->class_count * sizeof(admission->classes[0]));
    if (!admission)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for admission");
    admission->magic = ADMISSION_MAGIC;
    admission->class_count = options->class_count;
    bh_metrics_register(metric_families, METRIC_COUNT);
    for (size_t i = 0; i < options->class_count; i++)
        init_class(&admission->classes[i], &options->classes[i], options);
    *ret_admission = admission;
    return 0;
}

void bh_admission_destroy(struct bh_admission *const admission)
{
    if (!admission)
        return;
    bh_magic_check(admission, ADMISSION_MAGIC);
    for (size_t i = 0; i < admission->class_count; i++) {
        struct bh_admission_class *const class = &admission->classes[i];
        bh_assert(class->shared.line.in_hand == 0 && class->shared.line.waiting == 0);
        bh_metrics_add(class->limit, -(int64_t) class->shared.exposed_limit);
        pthread_mutex_destroy(&class->shared.mutex);
    }
    admission->magic = 0;
    free(admission);
}

struct bh_admission_class *bh_admission_find(struct bh_admission *const admission,
                                             const char *const name)
{
    size_t at = 0;
    while (at + 1 < admission->class_count && strcmp(admission->classes[at].name, name) != 0)
        at++;
    return &admission->classes[at];
}

/* ---- Tickets ---- */

static void finish(struct bh_admission_class *const class, const uint64_t service_us)
{
    const uint64_t now_us = bh_time_now_us();
    pthread_mutex_lock(&class->shared.mutex);
    bh_admission_line_finish(&class->shared.line, service_us, now_us);
    expose_limit(class);
    pthread_mutex_unlock(&class->shared.mutex);
}

static int refuse(struct bh_admission_class *const class, const enum bh_admission_verdict verdict,
                  const uint64_t expected_us, struct bh_error *const reterr)
{
    bh_metrics_add(class->refused[verdict], 1);
    return bh_error_set_retry(reterr, BH_EBUSY, 1 + (unsigned)(expected_us / BH_SECOND_US),
                              "the server has more %s requests than it can answer in time: try "
                              "again later",
                              class->name);
}

/* The wait was broken off, by `result`. */
static int stop_waiting(struct bh_admission_class *const class,
                        struct bh_admission_ticket *const ticket, const int result)
{
    pthread_mutex_lock(&class->shared.mutex);
    const bool was_waiting = bh_admission_line_withdraw(&class->shared.line, ticket);
    pthread_mutex_unlock(&class->shared.mutex);
    if (was_waiting)
        return result;
    bh_waiter_stay(&ticket->waiter);
    if (ticket->verdict == BH_ADMISSION_GRANTED)
        finish(class, 0);
    return result;
}

static int wait_for_verdict(struct bh_admission_class *const class,
                            struct bh_admission_ticket *const ticket, struct bh_error *const reterr)
{
    bh_metrics_add(class->waiting, 1);
    int result = bh_waiter_wait(&ticket->waiter, ticket->deadline_us);
    if (result)
        result = stop_waiting(class, ticket, result);
    bh_metrics_add(class->waiting, -1);
    ticket->begun_us = bh_time_now_us();
    bh_metrics_observe_us(class->wait, ticket->begun_us - ticket->asked_us);
    if (result)
        return bh_error_set(reterr, result, "%s", bh_error_text(result));
    if (ticket->verdict == BH_ADMISSION_GRANTED)
        return 0;
    return refuse(class, (enum bh_admission_verdict)ticket->verdict,
                  ticket->begun_us - ticket->asked_us, reterr);
}

int bh_admission_enter(struct bh_admission_class *const class,
                       const enum bh_admission_priority priority,
                       struct bh_admission_ticket *const ticket, struct bh_error *const reterr)
{
    bh_magic_check(class, CLASS_MAGIC);
    const uint64_t delay_us = bh_loop_delay_us(bh_loop_current());
    *ticket = (struct bh_admission_ticket){ .class = class,
                                            .priority = priority,
                                            .deadline_us = bh_fiber_deadline(),
                                            .begun_us = bh_time_now_us() };
    bh_waiter_init(&ticket->waiter);
    bh_list_init(&ticket->node);
    pthread_mutex_lock(&class->shared.mutex);
    struct bh_admission_line *const line = &class->shared.line;
    const enum bh_admission_verdict verdict = bh_admission_line_ask(line, ticket, ticket->begun_us,
                                                                    delay_us);
    uint64_t expected_us = 0;
    if (verdict > BH_ADMISSION_GRANTED)
        expected_us = bh_admission_line_expected_us(line, priority);
    expose_limit(class);
    pthread_mutex_unlock(&class->shared.mutex);
    int result = 0;
    if (verdict == BH_ADMISSION_WAITS)
        result = wait_for_verdict(class, ticket, reterr);
    else if (verdict != BH_ADMISSION_GRANTED)
        result = refuse(class, verdict, expected_us, reterr);
    if (result == 0)
        bh_metrics_add(class->in_hand, 1);
    return result;
}

void bh_admission_leave(struct bh_admission_ticket *const ticket, const bool is_sample)
{
    struct bh_admission_class *const class = ticket->class;
    bh_magic_check(class, CLASS_MAGIC);
    const uint64_t now_us = bh_time_now_us();
    const uint64_t service_us = now_us > ticket->begun_us ? now_us - ticket->begun_us : 1;
    bh_metrics_add(class->in_hand, -1);
    pthread_mutex_lock(&class->shared.mutex);
    bh_admission_line_finish(&class->shared.line, is_sample ? service_us : 0, now_us);
    expose_limit(class);
    pthread_mutex_unlock(&class->shared.mutex);
}

/* ---- Control and figures ---- */

unsigned bh_admission_room(struct bh_admission_class *const class)
{
    bh_magic_check(class, CLASS_MAGIC);
    pthread_mutex_lock(&class->shared.mutex);
    const unsigned room = bh_admission_line_room(&class->shared.line);
    pthread_mutex_unlock(&class->shared.mutex);
    return room;
}

void bh_admission_scale(struct bh_admission *const admission, const unsigned percent)
{
    bh_magic_check(admission, ADMISSION_MAGIC);
    bh_assert(percent >= 1 && percent <= 100);
    for (size_t i = 0; i < admission->class_count; i++) {
        struct bh_admission_class *const class = &admission->classes[i];
        pthread_mutex_lock(&class->shared.mutex);
        class->shared.line.percent = percent;
        bh_admission_line_serve(&class->shared.line, bh_time_now_us());
        expose_limit(class);
        pthread_mutex_unlock(&class->shared.mutex);
    }
}

size_t bh_admission_statistics(struct bh_admission *const admission,
                               struct bh_admission_statistics *const ret_statistics,
                               const size_t maximum)
{
    bh_magic_check(admission, ADMISSION_MAGIC);
    const size_t count = admission->class_count < maximum ? admission->class_count : maximum;
    for (size_t i = 0; i < count; i++) {
        struct bh_admission_class *const class = &admission->classes[i];
        pthread_mutex_lock(&class->shared.mutex);
        const struct bh_admission_line *const line = &class->shared.line;
        ret_statistics[i] = (struct bh_admission_statistics){
            .name = class->name,
            .limit = bh_admission_line_limit(line),
            .in_hand = line->in_hand,
            .waiting = line->waiting,
            .service_us = (uint64_t)line->service_us,
            .usual_us = (uint64_t)line->gradient.usual_us,
        };
        pthread_mutex_unlock(&class->shared.mutex);
    }
    return count;
}
