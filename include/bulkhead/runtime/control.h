/*
 * Speaking to the supervisor of a running service, over a socket in the file system that only its
 * user may open. One command a connection, one answer: JSON on one line, {"ok":true|false,
 * "message":"…", …}. A socket left behind by a supervisor that was killed answers nobody, so it
 * cannot mislead.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

#define BH_CONTROL_ANSWER_MAX 16384

/* Sends `command` ("restart") to the supervisor at `path` and appends its answer. Blocks the
 * thread, at most `timeout_us`. BH_EUNAVAILABLE: nobody answers there. BH_ETIMEDOUT. */
int bh_control_ask(const char *path, const char *command, uint64_t timeout_us,
                   struct bh_buf *answer, struct bh_error *reterr) BH_MUST_CHECK;
