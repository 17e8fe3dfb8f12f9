/*
 * A growable byte buffer with a maximum fixed at its start.
 *
 * Appends never half-happen. A failure (heap exhausted, maximum reached) is sticky: later appends
 * do nothing and bh_buf_error() tells it, so a writer may append many pieces and check once.
 * One thread at a time. Embedded: init/fini.
 */
#pragma once

#include "bulkhead/base/str.h"

struct bh_buf {
    char *data;      /* read-only: the bytes, not terminated; NULL while empty */
    size_t size;     /* read-only: bytes in use */
    size_t capacity; /* private */
    size_t maximum;  /* private */
    int error;       /* private: 0, BH_ENOMEM or BH_ELIMIT */
};

void bh_buf_init(struct bh_buf *buf, size_t maximum);
void bh_buf_fini(struct bh_buf *buf);
static inline void bh_buf_fini_cleanup(struct bh_buf *const buf)
{
    bh_buf_fini(buf);
}

/* Forgets the content and the error; keeps the memory. */
void bh_buf_clear(struct bh_buf *buf);

/* Room for `extra` more bytes; returns where they go (then bh_buf_advance), or NULL (error set). */
char *bh_buf_reserve(struct bh_buf *buf, size_t extra) BH_MUST_CHECK;
void bh_buf_advance(struct bh_buf *buf, size_t written);

void bh_buf_append(struct bh_buf *buf, const void *data, size_t size);
void bh_buf_append_str(struct bh_buf *buf, struct bh_str text);
void bh_buf_append_byte(struct bh_buf *buf, char byte);
void bh_buf_append_int(struct bh_buf *buf, int64_t value);
/* Without a buffer: writes the digits in front of `end`, 20 at most; returns how many. */
size_t bh_buf_write_digits(char *end, uint64_t value);

/* Finite numbers, the same in every locale: the fewest digits that read back equal, always with a
 * point or an exponent ("1.0"); and with `digits` (0 to 17) behind the point. */
void bh_buf_append_double(struct bh_buf *buf, double value);
void bh_buf_append_fixed(struct bh_buf *buf, double value, int digits);
void bh_buf_printf(struct bh_buf *buf, const char *format, ...) BH_PRINTF(2, 3);

/* Removes the first `count` bytes (≤ size). */
void bh_buf_consume(struct bh_buf *buf, size_t count);

/* 0, BH_ENOMEM or BH_ELIMIT. */
static inline int bh_buf_error(const struct bh_buf *const buf)
{
    return buf->error;
}

/* The content; valid until the next change. */
static inline struct bh_str bh_buf_peek(const struct bh_buf *const buf)
{
    return (struct bh_str){ .data = buf->data, .size = buf->size };
}
