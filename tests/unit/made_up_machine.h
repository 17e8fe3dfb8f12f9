/* A made-up machine: a folder with its /proc and /sys, which memory is read from. One a program. */
#pragma once

#include "cmocka_setup.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

/* In one step, because somebody may read meanwhile. */
static inline void put(const char *const path, const char *const text)
{
    char whole[512], next[520];
    const int size = snprintf(whole, sizeof(whole), "%s%s", root, path);
    assert_true(size > 0 && (size_t)size < sizeof(whole));
    snprintf(next, sizeof(next), "%s.next", whole);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(whole, 0700);
        *at = '/';
    }
    FILE *const file = fopen(next, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    assert_int_equal(rename(next, whole), 0);
}

static inline int remove_one(const char *const path, const struct stat *const about, const int kind,
                             struct FTW *const place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline bool make_machine(void)
{
    snprintf(root, sizeof(root), "/tmp/bh-memory-XXXXXX");
    return mkdtemp(root) != NULL;
}

static inline int remove_machine(void)
{
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
