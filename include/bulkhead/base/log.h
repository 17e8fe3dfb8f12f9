/*
 * Logs: text on a terminal, JSON lines otherwise. One line, one write(2) of at most PIPE_BUF bytes,
 * so lines of several threads never mix; longer messages are cut. Repeats of the same line (same
 * level, module and text) within a second are counted and told once ("… (repeated 41 times)").
 * Control characters and bad UTF-8 are escaped, so a message may hold text from outside.
 *
 * Every line carries the time, the level, the module and, inside a request, its id, route and
 * tenant (from the thread's log context, which the fiber scheduler switches with the fiber). Never
 * log a secret. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/str.h"

enum bh_log_level { BH_LOG_DEBUG, BH_LOG_INFO, BH_LOG_WARNING, BH_LOG_ERROR };
enum bh_log_format { BH_LOG_AUTO, BH_LOG_TEXT, BH_LOG_JSON }; /* AUTO: text on a terminal */

/* What the lines of one request share. Borrowed: must outlive its use as the thread's context. */
struct bh_log_context {
    struct bh_str request_id;
    struct bh_str route;
    struct bh_str tenant; /* a hash of the user; empty: none */
};

/* Before other threads start. `fd` is borrowed (2 for standard error). */
void bh_log_setup(enum bh_log_level level, enum bh_log_format format, int fd);

bool bh_log_enabled(enum bh_log_level level);

/* `module`: a literal such as "http". The message names the consequence, without a line break. */
void bh_log(enum bh_log_level level, const char *module, const char *format, ...) BH_PRINTF(3, 4);

#define bh_log_debug(...) \
    (bh_log_enabled(BH_LOG_DEBUG) ? bh_log(BH_LOG_DEBUG, __VA_ARGS__) : (void)0)
#define bh_log_info(...) bh_log(BH_LOG_INFO, __VA_ARGS__)
#define bh_log_warning(...) bh_log(BH_LOG_WARNING, __VA_ARGS__)
#define bh_log_error(...) bh_log(BH_LOG_ERROR, __VA_ARGS__)

/* One access-log line for a finished request (level INFO, module "access"). */
struct bh_log_access {
    struct bh_str method;
    struct bh_str path; /* without the query: it may hold what a person typed */
    int status;
    uint64_t duration_us;
    uint64_t bytes_sent;
    struct bh_str peer;
};
void bh_log_access(const struct bh_log_access *access);

/* The calling thread's context; NULL: none. The scheduler sets it at each fiber switch. */
void bh_log_context_set(const struct bh_log_context *context);
const struct bh_log_context *bh_log_context_get(void);

/* Writes out any pending "repeated n times" line; call before exit. */
void bh_log_flush(void);
