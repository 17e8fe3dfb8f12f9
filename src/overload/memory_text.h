/*
 * Reading what Linux tells of memory: cgroup files (v1 and v2), /proc/meminfo, /proc/self/statm,
 * pressure files (PSI). Pure functions over text; anything malformed is an error, never a guess.
 */
#pragma once

#include <stdint.h>

#include "bulkhead/base/error.h"
#include "bulkhead/base/str.h"

#define BH_MEMORY_UNLIMITED UINT64_MAX
#define BH_MEMORY_PATH_MAX 1024

/* The one number of a cgroup file; "max", and v1's numbers of nearly 2^63, are BH_MEMORY_UNLIMITED.
 * BH_ESYNTAX. */
int bh_memory_number(struct bh_str text, uint64_t *ret_value) BH_MUST_CHECK;

/* The number behind `key` and blanks on a line of its own ("inactive_file 4096"); in kB ("MemTotal:
 * 12 kB") times 1,024. BH_ENOTFOUND, BH_ESYNTAX. */
int bh_memory_field(struct bh_str text, struct bh_str key, uint64_t *ret_value) BH_MUST_CHECK;

/* The n-th number of a line, from 0. BH_ESYNTAX. */
int bh_memory_column(struct bh_str line, unsigned column, uint64_t *ret_value) BH_MUST_CHECK;

/* "some avg10=1.25 …": the share of time in percent. BH_ESYNTAX. */
int bh_memory_pressure(struct bh_str text, double *ret_some_avg10) BH_MUST_CHECK;

/* This process' place below a hierarchy's root, from /proc/self/cgroup: of version 2 ("0::/a/b"),
 * or of version 1's memory controller ("4:memory:/a/b"). `path` gets "" for the root; also where
 * the place is outside of what this process sees ("/../x"). BH_ENOTFOUND: it has none. */
int bh_memory_cgroup(struct bh_str text, unsigned version,
                     char path[BH_MEMORY_PATH_MAX]) BH_MUST_CHECK;
