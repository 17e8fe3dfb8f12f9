/* Reading a small text from a file or by HTTP. */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/client/client.h"

/* Whether `source` is a URL rather than a path. */
bool bh_auth_fetch_is_url(const char *source);

/* BH_EINVAL: a URL that is neither https nor plain HTTP from this machine. */
int bh_auth_fetch_check(const char *source, struct bh_error *reterr) BH_MUST_CHECK;

/* Appends the file's text to `buf`, whose maximum bounds it. As bh_error_errno; BH_ELIMIT: too
 * long. Blocks: for worker threads. */
int bh_auth_fetch_file(const char *path, struct bh_buf *buf, struct bh_error *reterr) BH_MUST_CHECK;

/* The same from a URL, until `until_us`. *ret_age_s: how long the answer says it may be kept
 * (Cache-Control: max-age), -1 when it does not say. Redirects are not followed. BH_EUNAVAILABLE:
 * no answer, or none with 200. Fiber. */
int bh_auth_fetch_url(struct bh_client *client, const char *url, uint64_t until_us,
                      struct bh_buf *buf, int64_t *ret_age_s,
                      struct bh_error *reterr) BH_MUST_CHECK;
