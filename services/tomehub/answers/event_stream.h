/*
 * Reading server-sent events (HTML Living Standard, 9.2.6): bytes in, the data of events out. What
 * does not matter to us (names, ids, comments) is dropped.
 *
 * The input is a stranger's: an event's data is bounded, everything else costs nothing. Pure.
 */
#pragma once

#include "bulkhead/base/buf.h"
#include "bulkhead/base/error.h"

#define TOME_EVENT_DATA_MAX ((size_t)256 * 1024)

struct tome_event_stream {
    struct bh_buf line, data; /* private, as the rest: the line and event being read */
    bool has_data;
    bool was_cr;  /* a line feed that follows belongs to it */
    bool is_told; /* the data has been handed out */
};

void tome_event_stream_init(struct tome_event_stream *stream);
void tome_event_stream_fini(struct tome_event_stream *stream);

/* Takes bytes off *input until an event is whole: 1 with its data, which lives until the next call;
 * 0: all was taken, and no event is whole. BH_ELIMIT: a line or an event's data is too long. */
int tome_event_stream_next(struct tome_event_stream *stream, struct bh_str *input,
                           struct bh_str *ret_data) BH_MUST_CHECK;
