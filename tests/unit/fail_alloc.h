/*
 * Makes one allocation of the calling thread fail, so that a test can walk through every place
 * where memory may run out:
 *
 *     for (unsigned n = 1;; n++) {
 *         fail_alloc_arm(n);
 *         … do it …
 *         if (!fail_alloc_disarm())
 *             break; // n was past the last allocation: this run succeeded
 *         … it must have failed cleanly …
 *     }
 *
 * It takes the place of glibc's malloc, calloc and realloc for the whole test program, libraries
 * included. Sanitizers bring their own, so there fail_alloc_is_supported() is false: skip().
 */
#pragma once

#include <stdbool.h>

bool fail_alloc_is_supported(void);

/* The n-th allocation from now on fails, once; counted from 1. */
void fail_alloc_arm(unsigned n);

/* No allocation fails any more. True: one did since it was armed. */
bool fail_alloc_disarm(void);
