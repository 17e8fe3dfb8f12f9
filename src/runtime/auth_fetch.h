/* Reading a small text from a file or by HTTP. Blocks: for worker threads. */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

/* Whether `source` is a URL rather than a path. */
bool bh_auth_fetch_is_url(const char *source);

/* BH_EINVAL: a URL that is neither https nor plain HTTP from this machine. */
int bh_auth_fetch_check(const char *source, struct bh_error *reterr) BH_MUST_CHECK;

/* Appends the text to `buf`, whose maximum bounds it. *ret_age_s: how long the answer says it may
 * be kept (Cache-Control: max-age), -1 when it does not say. Redirects are not followed.
 * BH_EUNAVAILABLE: no answer, or none with 200; for files as bh_error_errno. */
int bh_auth_fetch(const char *source, uint64_t timeout_us, struct bh_buf *buf, int64_t *ret_age_s,
                  struct bh_error *reterr) BH_MUST_CHECK;
