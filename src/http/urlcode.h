/*
 * Percent-coding and query strings (RFC 3986, application/x-www-form-urlencoded).
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

/* Decodes into `to`, which has room for text.size bytes (it may be text.data itself).
 * `plus_is_space`: in queries. *ret_size: bytes written. BH_ESYNTAX: a `%` without two
 * hexadecimal digits, or %00. */
int bh_url_decode(struct bh_str text, bool plus_is_space, char *to, size_t *ret_size) BH_MUST_CHECK;

/* Whether `text` decodes to well-formed UTF-8 without NUL. `scratch` has room for text.size
 * bytes. */
bool bh_url_is_valid(struct bh_str text, char *scratch);

/* Whether decoding would change `text` (with `+` as a blank if `plus_is_space`). */
bool bh_url_is_coded(struct bh_str text, bool plus_is_space);

/* Cuts the next `name=value` off a query; both still coded, `value` empty without "=". Empty pairs
 * ("a=1&&b=2") are skipped. false: no more. */
bool bh_query_next(struct bh_str *rest, struct bh_str *ret_name, struct bh_str *ret_value);

/* Whether the coded `text` decodes to `plain`. Malformed text equals nothing. */
bool bh_url_decodes_to(struct bh_str text, struct bh_str plain);
