/*
 * TLS 1.2 and 1.3 (OpenSSL): what all sessions of one side share. A server's certificate and key,
 * or whom a client trusts. Made once, constant afterwards; any thread.
 *
 * A server offers what Mozilla calls "intermediate", without finite-field Diffie-Hellman: forward
 * secrecy and authenticated encryption always, no renegotiation, no compression, no early data;
 * tickets resume sessions; of application protocols it knows `http/1.1`.
 */
#pragma once

#include <stdint.h>

#include "bulkhead/base/error.h"

struct bh_tls; /* opaque */

/* The files are PEM: the certificate first, then those between it and the root; the private key,
 * without a passphrase, in a file that not everybody may read. The message names the file, the
 * cause and the cure. BH_ENOTFOUND, BH_EACCESS, BH_EINVAL, BH_ENOMEM. */
int bh_tls_server_create(const char *certificate_file, const char *key_file,
                         struct bh_tls **ret_tls, struct bh_error *reterr) BH_MUST_CHECK;

/* A client that trusts the authorities of `ca_file` (PEM), or those of the system ("" or NULL), and
 * checks for whom the certificate was made. */
int bh_tls_client_create(const char *ca_file, struct bh_tls **ret_tls,
                         struct bh_error *reterr) BH_MUST_CHECK;

/* After its sessions. NULL is fine. */
void bh_tls_destroy(struct bh_tls *tls);

/* Until when the server's certificate holds, in seconds since 1970. */
int64_t bh_tls_expires_s(const struct bh_tls *tls);
