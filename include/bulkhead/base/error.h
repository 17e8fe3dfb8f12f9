/*
 * The one table of error codes, and the detail that travels with an error.
 *
 * A function that can fail returns 0 or one of the negative BH_E codes. Where a person will read
 * the reason it also takes a last parameter `struct bh_error *reterr` (NULL: not wanted), which is
 * written on failure and untouched on success. A message names the cause and, if there is one, the
 * cure; it never holds a secret.
 */
#pragma once

#include "bulkhead/base/macro.h"

#define BH_ERROR_TABLE(X)                                      \
    X(BH_ENOMEM, -1, "out of memory")                          \
    X(BH_EINVAL, -2, "invalid value")                          \
    X(BH_ECANCELED, -3, "canceled: the client went away")      \
    X(BH_ETIMEDOUT, -4, "deadline exceeded")                   \
    X(BH_ENOTFOUND, -5, "not found")                           \
    X(BH_EEXISTS, -6, "already exists")                        \
    X(BH_EIO, -7, "input/output error")                        \
    X(BH_ELIMIT, -8, "a limit was reached")                    \
    X(BH_EBUSY, -9, "busy")                                    \
    X(BH_ESYNTAX, -10, "malformed input")                      \
    X(BH_ESHUTDOWN, -11, "shutting down")                      \
    X(BH_EUNAVAILABLE, -12, "a dependency is not available")   \
    X(BH_ECONFLICT, -13, "conflicts with a concurrent change") \
    X(BH_ENOSPACE, -14, "no space left")                       \
    X(BH_EACCESS, -15, "not permitted")                        \
    X(BH_EUNSUPPORTED, -16, "not supported")                   \
    X(BH_ECORRUPT, -17, "corrupt data")                        \
    X(BH_ECLOSED, -18, "closed by the peer")                   \
    X(BH_EINTERNAL, -19, "internal error")

enum bh_error_code {
    BH_OK = 0,
#define X(name, value, text) name = (value),
    BH_ERROR_TABLE(X)
#undef X
};

struct bh_error {
    int code;          /* one of enum bh_error_code */
    char sqlstate[6];  /* from the database, else "" */
    unsigned retry_s;  /* when to try again, in seconds; 0: not known */
    char message[300]; /* UTF-8, no line break at the end, cut if longer */
};

/* Short static text of a code ("deadline exceeded"). Any thread. Never NULL. */
const char *bh_error_text(int code);

/* The code's name ("BH_ETIMEDOUT"). Any thread. Never NULL. */
const char *bh_error_name(int code);

/* Fills *reterr (if not NULL) with a formatted message and returns `code`, so that
 * `return bh_error_set(reterr, BH_EINVAL, "…")` reads as one step. */
int bh_error_set(struct bh_error *reterr, int code, const char *format, ...) BH_PRINTF(3, 4);

/* The same for what will pass: `retry_s` says when to try again. */
int bh_error_set_retry(struct bh_error *reterr, int code, unsigned retry_s, const char *format, ...)
    BH_PRINTF(4, 5);

/* The same from errno: appends ": <strerror>" and maps errno to a code
 * (ENOSPC and EDQUOT → BH_ENOSPACE, ENOENT → BH_ENOTFOUND, EACCES and EPERM → BH_EACCESS,
 * ENOMEM → BH_ENOMEM, EEXIST → BH_EEXISTS, else BH_EIO). */
int bh_error_errno(struct bh_error *reterr, int errno_value, const char *format, ...)
    BH_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* tells it what it cannot see from here: the result is `code` */
#define bh_error_set(reterr, code, ...) (bh_error_errno(reterr, 0, __VA_ARGS__), (code))
#endif
