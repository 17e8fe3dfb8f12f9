/* The text of API keys, and hashes. Any thread. */
#pragma once

#include "bulkhead/runtime/auth.h"

#define BH_AUTH_KEY_PREFIX "bhk_"

/* The number in a key's id, or BH_ESYNTAX. */
int bh_auth_key_number(struct bh_str id, uint64_t *ret_number) BH_MUST_CHECK;

/* The same from a whole key, whose form is checked to the last byte. */
int bh_auth_key_parse(struct bh_str key, uint64_t *ret_number) BH_MUST_CHECK;

/* SHA-256. BH_ENOMEM. */
int bh_auth_hash(struct bh_str text, uint8_t ret_hash[BH_AUTH_HASH_BYTES]) BH_MUST_CHECK;

/* How a user is called in logs. */
void bh_auth_tenant(int64_t user, char ret_tenant[BH_TENANT_BYTES + 1]);
