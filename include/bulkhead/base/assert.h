/*
 * Assertions for programmer errors, on in release builds too: a broken invariant stops the process
 * (the supervisor starts another) instead of corrupting data. Never for input from outside.
 *
 * Heap objects that travel through `void *` begin with a magic number, checked on the way back.
 */
#pragma once

#include "bulkhead/base/macro.h"

#define bh_assert(condition) \
    (BH_LIKELY(condition) ? (void)0 : bh_assert_failed(#condition, __FILE__, __LINE__, __func__))

#define BH_MAGIC_FIELD uint32_t magic

#define bh_magic_check(object, expected) \
    bh_assert((object) != NULL && (object)->magic == (expected))

void bh_assert_failed(const char *condition, const char *file, int line,
                      const char *function) BH_NORETURN;
