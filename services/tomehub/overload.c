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
