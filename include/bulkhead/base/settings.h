/*
 * Settings: one table per program, from which loading, validation, `.env.example`, --help and the
 * reference page all come.
 *
 * A value comes from the environment, else from `.env` in the working directory, else from the
 * table. A value that is malformed, out of range or in the wrong unit stops the start with one line
 * naming the variable, the value and what it takes. In `.env` an unknown name is an error too; in
 * the environment only a name that differs from a known one by a typing slip or carries a known
 * family's prefix (DB_POOL_…). Read once at start; afterwards constant, any thread.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

enum bh_setting_type {
    BH_SETTING_TEXT,    /* const char * */
    BH_SETTING_SECRET,  /* const char *, shown as "***" */
    BH_SETTING_URL,     /* const char *, shown without the password it may hold */
    BH_SETTING_INT,     /* int64_t within [minimum, maximum] */
    BH_SETTING_PERCENT, /* int64_t 1–100; a value below 1 such as 0.85 is told to be a fraction */
    BH_SETTING_BOOL,    /* bool: on/off, true/false, yes/no, 1/0 */
    BH_SETTING_DURATION, /* uint64_t microseconds: "30", "30s", "500ms", "5m", "1h"; us to d */
    BH_SETTING_SIZE,     /* uint64_t bytes: "64MB" (millions), "1GiB" (1,073,741,824); B to TiB */
    BH_SETTING_CHOICE,   /* const char *, one of `choices` ("text|json|auto") */
};

struct bh_setting {
    const char *name; /* "DB_POOL_MAX" */
    enum bh_setting_type type;
    const char *default_value; /* as it would be written; "" for none: then the field is 0 */
    int64_t minimum, maximum;  /* INT: the number; DURATION: µs; SIZE: bytes; both 0: any */
    const char *choices;       /* CHOICE only */
    const char *unit;          /* of a plain number: "s", "MB"; "" if none */
    const char *help;          /* one sentence */
    size_t offset;             /* offsetof the field in the program's settings struct */
};

struct bh_settings_origin; /* opaque: where each value came from, and the strings' memory */

/* Fills `target` (the program's struct, offsets as in the table). `env_path`: NULL for none; a file
 * that is not there is fine. `environment`: as environ, NULL for none. On failure `target` is
 * untouched and *reterr holds the one line. The strings in `target` live until
 * bh_settings_origin_destroy. Errors: BH_EINVAL (a value or name), BH_ESYNTAX and BH_ELIMIT (the
 * file's text), BH_EACCESS, BH_EIO, BH_ENOMEM. A default that its own setting refuses is a
 * programmer's error. */
int bh_settings_load(const struct bh_setting *table, size_t count, const char *env_path,
                     char *const *environment, void *target, struct bh_settings_origin **ret_origin,
                     struct bh_error *reterr) BH_MUST_CHECK;
void bh_settings_origin_destroy(struct bh_settings_origin *origin);

/* NAME=value lines with origin as a comment ("# from environment"), fit to be a .env but for the
 * secrets, which are masked. */
void bh_settings_print(const struct bh_setting *table, size_t count,
                       const struct bh_settings_origin *origin, struct bh_buf *buf);

/* The text of `.env.example`, and of the reference page in Markdown. */
void bh_settings_example(const struct bh_setting *table, size_t count, struct bh_buf *buf);
void bh_settings_reference(const struct bh_setting *table, size_t count, struct bh_buf *buf);
