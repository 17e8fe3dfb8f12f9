#include "loop/context_switch.h"

#include <stdbool.h>

#include "bulkhead/base/assert.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#endif

#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Boost.Context's binary interface (boost/context/detail/fcontext.hpp is C++). */
struct transfer {
    void *context; /* where the jump came from */
    void *data;
};
extern struct transfer jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *stack_top, size_t size, void (*main)(struct transfer));

/* Inlined, so that ThreadSanitizer sees no call begin on one fiber and end on the other.
 *
 * Just before the jump in: `save` keeps the fake stack of the one who goes. */
static inline __attribute__((always_inline)) void announce_enter(struct bh_context *const context)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&context->outside_fake_stack, context->bottom, context->size);
#endif
#ifdef WITH_TSAN
    context->outside_thread = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(context->thread, 0);
#endif
    (void)context;
}

static void arrived_inside(struct bh_context *const context)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(context->inside_fake_stack, &context->outside_bottom,
                                    &context->outside_size);
#endif
    (void)context;
}

static inline __attribute__((always_inline)) void announce_leave(struct bh_context *const context,
                                                                 const bool last)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &context->inside_fake_stack,
                                   context->outside_bottom, context->outside_size);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(context->outside_thread, 0);
#endif
    (void)context;
    (void)last;
}

static void arrived_outside(struct bh_context *const context)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(context->outside_fake_stack, NULL, NULL);
#endif
    (void)context;
}

static void begin(const struct transfer transfer)
{
    struct bh_context *const context = transfer.data;
    context->outside = transfer.context;
    arrived_inside(context);
    context->main(context->argument);
    bh_assert(!"a context's main function returned");
}

void bh_context_init(struct bh_context *const context, void *const bottom, const size_t size,
                     void (*const main)(void *argument), void *const argument)
{
    *context = (struct bh_context){
        .inside = make_fcontext((char *)bottom + size, size, begin),
        .main = main,
        .argument = argument,
        .bottom = bottom,
        .size = size,
    };
#ifdef WITH_TSAN
    context->thread = __tsan_create_fiber(0);
#endif
}

void bh_context_fini(struct bh_context *const context)
{
#ifdef WITH_TSAN
    __tsan_destroy_fiber(context->thread);
#endif
    *context = (struct bh_context){ 0 };
}

void bh_context_enter(struct bh_context *const context)
{
    announce_enter(context);
    const struct transfer transfer = jump_fcontext(context->inside, context);
    context->inside = transfer.context;
    arrived_outside(context);
}

void bh_context_leave(struct bh_context *const context)
{
    announce_leave(context, false);
    const struct transfer transfer = jump_fcontext(context->outside, NULL);
    context->outside = transfer.context;
    arrived_inside(context);
}

void bh_context_leave_last(struct bh_context *const context)
{
    announce_leave(context, true);
    jump_fcontext(context->outside, NULL);
    __builtin_unreachable();
}
