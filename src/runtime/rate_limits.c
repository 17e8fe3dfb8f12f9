/* The limits and the fields of the answer. Tables are lock-free; the rest is constant after
 * creation. */
#include "bulkhead/runtime/rate_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/buf.h"
#include "bulkhead/base/time.h"
#include "bulkhead/loop/loop.h"
#include "runtime/rate_store.h"

#define BH_METRICS_FILE "runtime/rate_limit_metrics.def"
#include "bulkhead/base/metrics_define.h"

#define ENTRIES 65536
#define REDIS_WAIT_US (5 * BH_MS_US)
#define LIMITS_MAX (2 + BH_RATE_LIMIT_GROUPS_MAX)
#define NAME_MAX_BYTES 24
#define POLICY_SIZE 160 /* two items of 24 bytes of name and two numbers */
#define FRONT_SIZE 80
#define FIELDS_SIZE 640 /* policy, two items of 24 bytes of name, seven numbers, names of fields */
#define COST 1

enum place { GLOBAL, REFUSED, GROUPS };
enum outcome { ALLOWED, LIMITED, DRY_RUN, OUTCOMES };
enum store_error { STORE_TIMED_OUT, STORE_UNAVAILABLE, STORE_ERROR, STORE_ERRORS };

struct limit {
    const char *name;
    struct bh_limiter *limiter;
    char quota[BH_LIMITER_QUOTA_TEXT_SIZE];
    char front[FRONT_SIZE];   /* the fields' lines up to what remains */
    char policy[POLICY_SIZE]; /* of a request that counts to this one: the global one's in front */
    bh_metric outcomes[OUTCOMES], evictions;
};

struct bh_rate_limits {
    unsigned count;
    struct limit limits[LIMITS_MAX]; /* the global one, that of the refused, the groups */
    bool is_dry_run;
    const struct bh_clients *clients;
    struct bh_rate_store *store; /* NULL: no limits are shared */
    bh_metric store_errors[STORE_ERRORS], fallbacks;
};

/* What the limits said of one request: the global one, and that of its group if it has one; or that
 * of the refused alone. */
struct decision {
    const struct limit *limits[2];
    struct bh_limiter_verdict verdicts[2];
    unsigned count;
};

/* ---- Life ---- */

static double count_entries(void *const argument)
{
    const struct bh_rate_limits *const limits = argument;
    const uint64_t now_us = bh_time_now_us();
    size_t sum = 0;
    for (unsigned i = 0; i < limits->count; i++)
        sum += bh_limiter_entries(limits->limits[i].limiter, now_us);
    return (double)sum;
}

/* Appends what it says of one limit to the field's text. */
static void add_policy(char text[POLICY_SIZE], const struct limit *const limit)
{
    const size_t size = strlen(text);
    const struct bh_limiter_quota *const quota = bh_limiter_quota_of(limit->limiter);
    const int added = snprintf(text + size, POLICY_SIZE - size, "%s\"%s\";q=%llu;w=%llu",
                               size > 0 ? ", " : "", limit->name, (unsigned long long)quota->count,
                               (unsigned long long)(quota->window_us / BH_SECOND_US));
    bh_assert(added > 0 && size + (size_t)added < POLICY_SIZE);
}

/* One that is `beside` another (NULL: none) is told of behind it. */
static int add_limit(struct bh_rate_limits *const limits, const char *const name,
                     const struct bh_limiter_quota *const quota, const struct limit *const beside,
                     const size_t entries, struct bh_error *const reterr)
{
    static const char *const outcomes[OUTCOMES] = { "allowed", "limited", "dry_run" };
    struct limit *const limit = &limits->limits[limits->count];
    bh_assert(limits->count < LIMITS_MAX && strlen(name) < NAME_MAX_BYTES);
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return bh_error_set(reterr, BH_EIO, "the system gives no random bytes");
    if (bh_limiter_create(quota, entries, seed, &limit->limiter) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the rate limits' tables");
    limits->count++;
    limit->name = name;
    bh_limiter_quota_text(quota, limit->quota);
    snprintf(
        limit->front, sizeof(limit->front),
        "X-RateLimit-Limit: %llu\r\nX-RateLimit-Remaining: ", (unsigned long long)quota->count);
    if (beside)
        add_policy(limit->policy, beside);
    add_policy(limit->policy, limit);
    for (int i = 0; i < OUTCOMES; i++) {
        const char *const values[] = { name, outcomes[i] };
        limit->outcomes[i] = bh_metrics_child(&metric_families[METRIC_requests], values, 2);
    }
    limit->evictions = bh_metrics_child(&metric_families[METRIC_evictions], &name, 1);
    return 0;
}

static int add_store(struct bh_rate_limits *const limits,
                     const struct bh_rate_limits_options *const options,
                     struct bh_error *const reterr)
{
    const uint64_t wait_us = options->redis_wait_us ? options->redis_wait_us : REDIS_WAIT_US;
    static const char *const reasons[STORE_ERRORS] = { "timeout", "unavailable", "error" };
    for (int i = 0; i < STORE_ERRORS; i++)
        limits->store_errors[i] = bh_metrics_child(&metric_families[METRIC_store_errors],
                                                   &reasons[i], 1);
    limits->fallbacks = bh_metrics_child(&metric_families[METRIC_fallbacks], NULL, 0);
    if (options->redis && bh_rate_store_create(options->redis, wait_us, &limits->store) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the shared rate limits");
    return 0;
}

int bh_rate_limits_create(const struct bh_rate_limits_options *const options,
                          struct bh_rate_limits **const ret_limits, struct bh_error *const reterr)
{
    struct bh_rate_limits *const limits = calloc(1, sizeof(*limits));
    if (!limits)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the rate limits");
    bh_metrics_register(metric_families, METRIC_COUNT);
    const size_t entries = options->entries ? options->entries : ENTRIES;
    limits->is_dry_run = options->is_dry_run;
    limits->clients = options->clients;
    int result = add_limit(limits, "global", &options->global, NULL, entries, reterr);
    if (result == 0)
        result = add_limit(limits, "refused", &options->refused, NULL, entries, reterr);
    for (size_t i = 0; result == 0 && i < options->group_count; i++)
        result = add_limit(limits, options->groups[i].name, &options->groups[i].quota,
                           &limits->limits[GLOBAL], entries, reterr);
    if (result == 0)
        result = add_store(limits, options, reterr);
    if (result) {
        bh_rate_limits_destroy(limits);
        return result;
    }
    bh_metrics_gauge_callback(&metric_families[METRIC_entries], count_entries, limits);
    *ret_limits = limits;
    return 0;
}

void bh_rate_limits_destroy(struct bh_rate_limits *const limits)
{
    if (!limits)
        return;
    bh_metrics_gauge_callback(&metric_families[METRIC_entries], NULL, NULL);
    for (unsigned i = 0; i < limits->count; i++)
        bh_limiter_destroy(limits->limits[i].limiter);
    bh_rate_store_destroy(limits->store);
    free(limits);
}

/* ---- What the limits say ---- */

static bool is_allowed(const struct decision *const decision)
{
    for (unsigned i = 0; i < decision->count; i++)
        if (!decision->verdicts[i].is_allowed)
            return false;
    return true;
}

/* A request that one limit refuses shall not be charged to the other: the narrow one is looked at
 * before the wide one is charged. */
static void decide_here(struct decision *const decision, const struct bh_str key)
{
    const uint64_t now_us = bh_loop_now_us(bh_loop_current());
    struct bh_limiter *const wide = decision->limits[0]->limiter;
    if (decision->count == 1) {
        decision->verdicts[0] = bh_limiter_check(wide, key, COST, now_us);
        return;
    }
    struct bh_limiter *const group = decision->limits[1]->limiter;
    decision->verdicts[1] = bh_limiter_peek(group, key, COST, now_us);
    if (!decision->verdicts[1].is_allowed) {
        decision->verdicts[0] = bh_limiter_peek(wide, key, 0, now_us);
        return;
    }
    decision->verdicts[0] = bh_limiter_check(wide, key, COST, now_us);
    if (decision->verdicts[0].is_allowed)
        decision->verdicts[1] = bh_limiter_check(group, key, COST, now_us);
    else
        decision->verdicts[1] = bh_limiter_peek(group, key, 0, now_us);
}

static void count_store_error(const struct bh_rate_limits *const limits, const int result)
{
    bh_metrics_add(limits->fallbacks, 1);
    if (result == BH_EBUSY || result == BH_ECANCELED) /* not asked, or not its fault */
        return;
    const enum store_error error = result == BH_ETIMEDOUT      ? STORE_TIMED_OUT
                                   : result == BH_EUNAVAILABLE ? STORE_UNAVAILABLE
                                                               : STORE_ERROR;
    bh_metrics_add(limits->store_errors[error], 1);
}

/* What is taken there is taken here too, so that this table knows what its clients have had when it
 * has to serve alone. False: the store did not say. */
static bool decide_there(const struct bh_rate_limits *const limits, struct decision *const decision,
                         const struct bh_str key)
{
    struct bh_rate_store_limit asked[BH_RATE_STORE_LIMITS_MAX];
    for (unsigned i = 0; i < decision->count; i++)
        asked[i] = (struct bh_rate_store_limit){
            .name = decision->limits[i]->name,
            .quota = bh_limiter_quota_of(decision->limits[i]->limiter),
        };
    const int result = bh_rate_store_take(limits->store, key, asked, decision->count, NULL);
    if (result) {
        count_store_error(limits, result);
        return false;
    }
    for (unsigned i = 0; i < decision->count; i++)
        decision->verdicts[i] = asked[i].verdict;
    const uint64_t now_us = bh_loop_now_us(bh_loop_current());
    for (unsigned i = 0; i < decision->count && is_allowed(decision); i++)
        bh_limiter_check(decision->limits[i]->limiter, key, COST, now_us);
    return true;
}

static void count(const struct bh_rate_limits *const limits, const struct decision *const decision)
{
    for (unsigned i = 0; i < decision->count; i++) {
        const struct limit *const limit = decision->limits[i];
        const struct bh_limiter_verdict *const verdict = &decision->verdicts[i];
        const enum outcome outcome = verdict->is_allowed  ? ALLOWED
                                     : limits->is_dry_run ? DRY_RUN
                                                          : LIMITED;
        bh_metrics_add(limit->outcomes[outcome], 1);
        if (verdict->has_evicted)
            bh_metrics_add(limit->evictions, 1);
    }
}

/* The limit that refuses, else the one nearest to its end. */
static unsigned tightest(const struct decision *const decision)
{
    if (decision->count == 1)
        return 0;
    const struct bh_limiter_verdict *const global = &decision->verdicts[0];
    const struct bh_limiter_verdict *const group = &decision->verdicts[1];
    if (global->is_allowed != group->is_allowed)
        return global->is_allowed ? 1 : 0;
    return group->remaining <= global->remaining ? 1 : 0;
}

/* ---- What the client is told ---- */

static uint64_t whole_seconds(const uint64_t us)
{
    return (us + BH_SECOND_US - 1) / BH_SECOND_US;
}

/* Appends at `at` and returns what is behind: a request should not pay for printf. */
static inline char *put_text(char *const at, const char *const text)
{
    const size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

static char *put_number(char *const at, const uint64_t value)
{
    char digits[20], *const end = digits + sizeof(digits);
    const size_t size = bh_buf_write_digits(end, value);
    memcpy(at, end - size, size);
    return at + size;
}

/* All lines at once: they go with every answer. */
static void add_fields(struct bh_request *const request, const struct decision *const decision)
{
    const unsigned shown = tightest(decision);
    const struct bh_limiter_verdict *const verdict = &decision->verdicts[shown];
    const uint64_t wall_us = (uint64_t)bh_time_wall_us();
    char lines[FIELDS_SIZE], *end = lines;
    end = put_number(put_text(end, decision->limits[shown]->front), verdict->remaining);
    end = put_text(end, "\r\nX-RateLimit-Reset: ");
    end = put_number(end, whole_seconds(wall_us + verdict->reset_us));
    end = put_text(end, "\r\nRateLimit-Policy: ");
    end = put_text(end, decision->limits[decision->count - 1]->policy);
    end = put_text(end, "\r\nRateLimit: ");
    for (unsigned i = 0; i < decision->count; i++) {
        const struct bh_limiter_verdict *const each = &decision->verdicts[i];
        end = put_text(put_text(end, i ? ", \"" : "\""), decision->limits[i]->name);
        end = put_number(put_text(end, "\";r="), each->remaining);
        end = put_number(put_text(end, ";t="),
                         whole_seconds(each->remaining > 0 ? each->reset_us : each->next_us));
    }
    end = put_text(end, "\r\n");
    bh_response_lines(request, (struct bh_str){ lines, (size_t)(end - lines) });
}

/* Seconds, never fewer than it takes, up to a quarter and one more: who was refused together shall
 * not come back together. */
static uint64_t retry_after(const uint64_t retry_us)
{
    uint64_t seconds = whole_seconds(retry_us);
    if (seconds == 0)
        seconds = 1;
    const uint64_t mixed = bh_time_now_ns() * UINT64_C(0x9E3779B97F4A7C15);
    return seconds + (mixed >> 33) % (seconds / 4 + 2);
}

static int refuse(struct bh_request *const request, const struct decision *const decision)
{
    const unsigned refusing = tightest(decision);
    const uint64_t seconds = retry_after(decision->verdicts[refusing].retry_after_us);
    char body[160], digits[20];
    const char *const end = put_number(digits, seconds);
    const int size = snprintf(body, sizeof(body),
                              "{\"error\":\"Rate limit exceeded\",\"detail\":\"%s\","
                              "\"retry_after\":%llu}",
                              decision->limits[refusing]->quota, (unsigned long long)seconds);
    bh_response_header(request, "Retry-After", (struct bh_str){ digits, (size_t)(end - digits) });
    return bh_respond(request, 429, "application/json", (struct bh_str){ body, (size_t)size });
}

static const struct limit *limit_of(const struct bh_rate_limits *const limits,
                                    const char *const group)
{
    for (unsigned i = GROUPS; i < limits->count; i++)
        if (strcmp(limits->limits[i].name, group) == 0)
            return &limits->limits[i];
    return NULL;
}

static bool pass(struct bh_rate_limits *const limits, struct bh_request *const request,
                 struct decision *const decision, const struct bh_str key, int *const ret_result)
{
    if (!limits->store || !decide_there(limits, decision, key))
        decide_here(decision, key);
    count(limits, decision);
    add_fields(request, decision);
    if (is_allowed(decision) || limits->is_dry_run)
        return true;
    *ret_result = refuse(request, decision);
    return false;
}

bool bh_rate_limits_pass(struct bh_rate_limits *const limits, struct bh_request *const request,
                         const char *const group, int *const ret_result)
{
    struct decision decision = { .limits = { &limits->limits[GLOBAL] }, .count = 1 };
    char buffer[BH_CLIENT_KEY_SIZE];
    if (group) {
        decision.limits[1] = limit_of(limits, group);
        bh_assert(decision.limits[1]);
        decision.count = 2;
    }
    return pass(limits, request, &decision, bh_clients_key(limits->clients, request, buffer),
                ret_result);
}

bool bh_rate_limits_pass_refused(struct bh_rate_limits *const limits,
                                 struct bh_request *const request, int *const ret_result)
{
    struct decision decision = { .limits = { &limits->limits[REFUSED] }, .count = 1 };
    char buffer[BH_CLIENT_KEY_SIZE];
    return pass(limits, request, &decision, bh_clients_address(limits->clients, request, buffer),
                ret_result);
}
