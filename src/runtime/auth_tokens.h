/*
 * Tokens that were verified, by their SHA-256: four places for each of 1,024 sets, so memory is
 * bounded; a new one takes the place of the one that expires first. Any thread.
 */
#pragma once

#include "bulkhead/runtime/auth.h"

struct bh_auth_tokens; /* opaque */

int bh_auth_tokens_create(struct bh_auth_tokens **ret_tokens) BH_MUST_CHECK;
void bh_auth_tokens_destroy(struct bh_auth_tokens *tokens);

/* Whether the token is known and its time is not over; fills *ret_principal. */
bool bh_auth_tokens_find(struct bh_auth_tokens *tokens, const uint8_t hash[BH_AUTH_HASH_BYTES],
                         int64_t now_s, struct bh_principal *ret_principal);

/* `epoch`: what bh_auth_tokens_epoch gave before the token was verified; if the keys it was
 * verified with have changed since, it is not kept. */
void bh_auth_tokens_put(struct bh_auth_tokens *tokens, const uint8_t hash[BH_AUTH_HASH_BYTES],
                        int64_t expires_s, uint64_t epoch, const struct bh_principal *principal);
uint64_t bh_auth_tokens_epoch(struct bh_auth_tokens *tokens);

/* Forgets all: the keys they were verified with have changed. */
void bh_auth_tokens_clear(struct bh_auth_tokens *tokens);
