/* Where a Redis server is and how to greet it. */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

struct bh_redis_address {
    char host[256];
    char port[6];
    char user[128];
    char password[512]; /* never told */
    unsigned database;
    bool is_tls;
    char name[300]; /* "host:port/database" */
};

/* redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS; HOST may be an IPv6
 * address in brackets; user and password are percent-coded. BH_EINVAL; the message holds nothing of
 * the URL. */
int bh_redis_url_parse(const char *url, struct bh_redis_address *ret_address,
                       struct bh_error *reterr) BH_MUST_CHECK;
