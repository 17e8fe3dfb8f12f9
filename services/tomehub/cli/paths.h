/* The files a command line means: named ones as they are, folders with all below, patterns
 * expanded. */
#pragma once

#include "bulkhead/base/error.h"

struct tome_paths {
    char **paths; /* absolute, owned */
    size_t count;
    size_t capacity; /* private */
};

/* Adds what `argument` means: a file; every book (by its ending) in a folder and the folders below,
 * sorted, without hidden ones; or the matches of a pattern the shell left as it was. BH_ENOTFOUND,
 * BH_EIO, BH_ENOMEM. */
int tome_paths_add(struct tome_paths *paths, const char *argument,
                   struct bh_error *reterr) BH_MUST_CHECK;
void tome_paths_fini(struct tome_paths *paths);
