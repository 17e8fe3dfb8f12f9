/* What tls.c and tls_session.c share. */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/tls/tls.h"

#define BH_TLS_MAGIC 0x544c5343u

struct bh_tls {
    BH_MAGIC_FIELD;
    SSL_CTX *context;
    bool is_server;
    int64_t expires_s;
};

/* Why OpenSSL's last call of this thread failed, in its words; "" when it did not say. */
const char *bh_tls_reason(void);
