/* Settings of what takes memory, lowered to what there is: a ladder that acts when memory runs
 * short comes late where a crowd could fill all of it within a reading. */
#pragma once

#include "settings.h"

/* Each share of `bound_bytes` is at most a quarter (half of it for extractors); nothing falls below
 * its least, nor rises. */
void tome_memory_fit_to(struct tome_settings *settings, uint64_t bound_bytes);

/* The same for what bounds this process (its cgroup, MEMORY_LIMIT_MB), and a line in the log if
 * that lowers anything; nothing where only the machine does. BH_EUNAVAILABLE: memory cannot be
 * read. */
int tome_memory_fit(struct tome_settings *settings, struct bh_error *reterr) BH_MUST_CHECK;
