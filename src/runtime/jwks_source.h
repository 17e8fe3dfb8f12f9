/*
 * Where a token issuer's keys come from: a file or URL, read without holding a loop up, kept until
 * it says they are old, and read anew, not too often, when a token names a key that is not among
 * them. While the source is down, or gives what cannot be used, the keys of before stay. Any loop.
 */
#pragma once

#include "runtime/auth_refresh.h"
#include "runtime/jwks.h"

struct bh_jwks_source; /* opaque */

/* `changed(argument)`: other keys than before are in use; any loop. BH_EINVAL, see
 * bh_auth_fetch_check. */
int bh_jwks_source_create(const char *source, void (*changed)(void *argument), void *argument,
                          struct bh_jwks_source **ret_source,
                          struct bh_error *reterr) BH_MUST_CHECK;
void bh_jwks_source_destroy(struct bh_jwks_source *source);

/* The keys at hand; the caller unrefs them. NULL: none yet. */
struct bh_jwks *bh_jwks_source_get(struct bh_jwks_source *source);

/* Reads the source anew: BH_EBUSY when it was read a moment ago. From a fiber. */
int bh_jwks_source_refresh(struct bh_jwks_source *source, struct bh_error *reterr) BH_MUST_CHECK;

/* Monotonic µs at which the keys should be read anew. */
uint64_t bh_jwks_source_due_us(struct bh_jwks_source *source);
