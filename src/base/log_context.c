/* The log context of each thread: what the lines of one request share. */
#include "bulkhead/base/log.h"

static _Thread_local const struct bh_log_context *current_context;

void bh_log_context_set(const struct bh_log_context *const context)
{
    current_context = context;
}

const struct bh_log_context *bh_log_context_get(void)
{
    return current_context;
}
