#include "overload.h"

void tome_overload_breaker_options(const struct tome_settings *const settings,
                                   struct bh_breaker_options *const ret_options)
{
    bh_breaker_options_default(ret_options);
    ret_options->window_calls = (unsigned)settings->breaker_window;
    if (ret_options->calls_minimum > ret_options->window_calls)
        ret_options->calls_minimum = ret_options->window_calls;
    ret_options->failure_percent = (unsigned)settings->breaker_failure_rate;
    ret_options->slow_percent = (unsigned)settings->breaker_slow_rate;
    ret_options->slow_us = settings->breaker_slow_call_us;
    ret_options->open_us = settings->breaker_open_us;
    ret_options->probes = (unsigned)settings->breaker_probes;
}

int tome_overload_database_breakers(const struct tome_settings *const settings,
                                    struct bh_database_breakers **const ret_breakers,
                                    struct bh_error *const reterr)
{
    if (!settings->breakers_enabled) {
        *ret_breakers = NULL;
        return 0;
    }
    struct bh_breaker_options options;
    tome_overload_breaker_options(settings, &options);
    return bh_database_breakers_create(&options, ret_breakers, reterr);
}

int tome_overload_redis_breaker(const struct tome_settings *const settings,
                                struct bh_redis_breaker **const ret_breaker,
                                struct bh_error *const reterr)
{
    *ret_breaker = NULL;
    if (!settings->breakers_enabled || settings->redis_url[0] == '\0')
        return 0;
    struct bh_breaker_options options;
    tome_overload_breaker_options(settings, &options);
    return bh_redis_breaker_create(&options, ret_breaker, reterr);
}

int tome_overload_admission(const struct tome_settings *const settings,
                            struct bh_admission **const ret_admission,
                            struct bh_error *const reterr)
{
    if (!settings->admission_enabled) {
        *ret_admission = NULL;
        return 0;
    }
    const unsigned streams = (unsigned)settings->max_concurrent_streams;
    const struct bh_admission_class_options classes[] = {
        { "search", .initial = 64, .minimum = 16, .maximum = 1000, .is_timed = true },
        /* Those that wait at the stream gate too: it is the one that refuses, as a rule. */
        { "stream", .initial = 2 * streams, .minimum = 1, .maximum = 2 * streams },
        { "ingest", .initial = 64, .minimum = 4, .maximum = 256 },
        { "default", .initial = 256, .minimum = 64, .maximum = 4000, .is_timed = true },
    };
    const struct bh_admission_options options = {
        .classes = classes,
        .class_count = BH_COUNT_OF(classes),
        .waiters_maximum = (unsigned)settings->admission_queue,
        .wait_us = settings->admission_wait_us,
    };
    return bh_admission_create(&options, ret_admission, reterr);
}
