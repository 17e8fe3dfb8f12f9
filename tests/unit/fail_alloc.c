#include "fail_alloc.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_MALLOC 1
#elif defined(__has_feature)
#define HAS_OWN_MALLOC                                                      \
    (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
     __has_feature(memory_sanitizer))
#else
#define HAS_OWN_MALLOC 0
#endif

#if HAS_OWN_MALLOC

bool fail_alloc_is_supported(void)
{
    return false;
}

void fail_alloc_arm(const unsigned n)
{
    (void)n;
}

bool fail_alloc_disarm(void)
{
    return false;
}

#else

#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static _Thread_local unsigned left; /* 0: not armed */
static _Thread_local bool struck;

bool fail_alloc_is_supported(void)
{
    return true;
}

void fail_alloc_arm(const unsigned n)
{
    left = n;
    struck = false;
}

bool fail_alloc_disarm(void)
{
    left = 0;
    return struck;
}

static bool strikes(void)
{
    if (left == 0 || --left > 0)
        return false;
    struck = true;
    errno = ENOMEM;
    return true;
}

/* Visible, or the shared libraries would keep to glibc's own. */
#define VISIBLE __attribute__((visibility("default")))

VISIBLE void *malloc(const size_t size)
{
    return strikes() ? NULL : __libc_malloc(size);
}

VISIBLE void *calloc(const size_t count, const size_t size)
{
    return strikes() ? NULL : __libc_calloc(count, size);
}

VISIBLE void *realloc(void *const memory, const size_t size)
{
    return strikes() ? NULL : __libc_realloc(memory, size);
}

#endif
