/*
 * Inside field values (RFC 9110 section 5.6): lists and parameters. Pure; any thread.
 */
#pragma once

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

/* Cuts the next element off a comma-separated list; empty elements are skipped. false: no more.
 * Fit for lists of tokens, not for elements with quoted commas. */
bool bh_field_list_next(struct bh_str *rest, struct bh_str *ret_element);

/* Whether the list holds `token` (without case). */
bool bh_field_list_has(struct bh_str list, struct bh_str token);

/* One `;name=value` of what follows a media type or a disposition. */
struct bh_field_parameter {
    struct bh_str name;
    struct bh_str value; /* a quoted string: what stands between the quotes, escapes kept */
    bool is_quoted;
};

/* Cuts the next parameter off *rest (which begins at ';' or blanks, or is empty). 1:
 * *ret_parameter is set; 0: no more; BH_ESYNTAX. */
int bh_field_parameter_next(struct bh_str *rest,
                            struct bh_field_parameter *ret_parameter) BH_MUST_CHECK;

/* Removes the backslashes of a quoted string's escapes in place; the new size. */
size_t bh_field_unescape(char *text, size_t size);
