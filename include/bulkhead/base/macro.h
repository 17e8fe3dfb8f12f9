/* Compiler attributes and small helpers used everywhere. No code of its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BH_MUST_CHECK __attribute__((warn_unused_result))
#define BH_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))
#define BH_NORETURN __attribute__((noreturn))
#define BH_CLEANUP(function) __attribute__((cleanup(function)))

#define BH_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define BH_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define BH_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The object of `type` whose field `member` stands at `pointer`. */
#define BH_CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Defines `name##_cleanup(type **)`, for BH_CLEANUP, from a destructor that takes NULL. */
#define BH_DEFINE_CLEANUP(type, destructor)                      \
    static inline void destructor##_cleanup(type **const object) \
    {                                                            \
        destructor(*object);                                     \
    }
