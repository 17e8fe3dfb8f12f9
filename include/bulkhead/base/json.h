/*
 * JSON (RFC 8259). Writing is ours, straight into a buffer, because every answer passes through it;
 * reading is ours into jansson's tree, within limits.
 *
 * Writer: commas are placed by the writer. Errors are sticky in the buffer (bh_buf_error). Nesting
 * deeper than BH_JSON_DEPTH_MAX is a programmer error. Strings that are not valid UTF-8 get U+FFFD
 * for each bad byte; doubles that are not finite are written as null. One thread at a time.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

#define BH_JSON_DEPTH_MAX 32      /* of the writer */
#define BH_JSON_READ_DEPTH_MAX 64 /* the most a caller of bh_json_parse may allow */
#define BH_JSON_VALUES_MAX 100000 /* in one text: the tree stays below 25 MB and its strings */

struct bh_json {
    struct bh_buf *buf;   /* private: borrowed from the caller */
    uint32_t has_element; /* private: a bit for each open level */
    uint32_t is_object;   /* private */
    unsigned depth;       /* private */
    bool after_key;       /* private */
};

void bh_json_init(struct bh_json *json, struct bh_buf *buf);

void bh_json_object_begin(struct bh_json *json);
void bh_json_object_end(struct bh_json *json);
void bh_json_array_begin(struct bh_json *json);
void bh_json_array_end(struct bh_json *json);

void bh_json_key(struct bh_json *json, struct bh_str key);
void bh_json_string(struct bh_json *json, struct bh_str value);
void bh_json_int(struct bh_json *json, int64_t value);
void bh_json_double(struct bh_json *json, double value); /* fewest digits that read back equal */
void bh_json_fixed(struct bh_json *json, double value, int digits); /* digits behind the point */
void bh_json_bool(struct bh_json *json, bool value);
void bh_json_null(struct bh_json *json);
void bh_json_raw(struct bh_json *json, struct bh_str value); /* a whole, valid JSON value */

/* Key and value in one step; `key` is a terminated literal. */
void bh_json_kv_string(struct bh_json *json, const char *key, struct bh_str value);
void bh_json_kv_int(struct bh_json *json, const char *key, int64_t value);
void bh_json_kv_double(struct bh_json *json, const char *key, double value);
void bh_json_kv_bool(struct bh_json *json, const char *key, bool value);
void bh_json_kv_null(struct bh_json *json, const char *key);
void bh_json_kv_object(struct bh_json *json, const char *key); /* opens it */
void bh_json_kv_array(struct bh_json *json, const char *key);  /* opens it */

/* ---- Reading ---- */

/* Parses a whole document. Refuses nesting deeper than `depth_maximum`, duplicate keys, invalid
 * UTF-8, NUL inside strings, whole numbers past 64 bits, and anything behind the value. *ret_value
 * is a new reference the caller gives back with json_decref. Errors: BH_ESYNTAX and BH_ELIMIT
 * (depth, count of values), message "line 2, column 7: <cause>"; BH_ENOMEM.
 * Uses little stack: fit for fibers. */
int bh_json_parse(struct bh_str text, unsigned depth_maximum, json_t **ret_value,
                  struct bh_error *reterr) BH_MUST_CHECK;

static inline void bh_json_decref_cleanup(json_t **const value)
{
    json_decref(*value);
}
