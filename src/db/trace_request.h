/*
 * N+1: how often the running request (a fiber with a log context) has run each fingerprint. The
 * counts hang on the fiber from its first statement on; a fiber without a request has none.
 */
#pragma once

#include <stdbool.h>

/* Counts one run for the running request, of the first 16 fingerprints it runs. Returns how often
 * it ran now; 0 outside of a request. */
unsigned bh_trace_request_count(unsigned entry);

/* Whether the running request's route may log a repeated statement: once a minute. Counts the
 * finding in the metrics either way. */
bool bh_trace_request_may_log(void);
