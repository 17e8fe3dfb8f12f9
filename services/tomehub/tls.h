/* The server's certificate and key, by its settings. At start and reload. */
#pragma once

#include "bulkhead/tls/tls.h"
#include "settings.h"

/* Whether TLS_CERT_FILE and TLS_KEY_FILE can be used together; loads and forgets them. */
int tome_tls_check(const struct tome_settings *settings, struct bh_error *reterr) BH_MUST_CHECK;

/* *ret_tls stays NULL when neither is set. Warns of a certificate that ends within 21 days, or has
 * ended: it is served all the same, as a server that does not start helps nobody. */
int tome_tls_create(const struct tome_settings *settings, struct bh_tls **ret_tls,
                    struct bh_error *reterr) BH_MUST_CHECK;
