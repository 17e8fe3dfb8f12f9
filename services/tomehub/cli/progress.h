/* How far a command line ingest is: a bar that is redrawn on a terminal, nothing otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tome_progress {
    bool is_terminal; /* private */
    bool is_drawn;    /* private */
};

void tome_progress_init(struct tome_progress *progress);

/* `done` of `total` files, those in hand together at `percent` of one; `name`: of the last. */
void tome_progress_draw(struct tome_progress *progress, size_t done, size_t total, int64_t percent,
                        const char *name);

/* Takes the bar away, before a line is printed. */
void tome_progress_clear(struct tome_progress *progress);
