/*
 * Switching stacks, with the sanitizers told. Boost.Context's C entry points do the switch.
 *
 * enter() runs the context until it leaves; leave() goes back to who entered. A context that is to
 * be freed leaves for the last time by leave_last().
 */
#pragma once

#include "bulkhead/base/macro.h"

struct bh_context {
    void *inside;  /* private: where to go on when entered */
    void *outside; /* private: where to go on when left */
    void (*main)(void *argument);
    void *argument;
    /* For AddressSanitizer: */
    const void *bottom, *outside_bottom;
    size_t size, outside_size;
    void *outside_fake_stack, *inside_fake_stack;
    /* For ThreadSanitizer: */
    void *thread, *outside_thread;
};

/* `main(argument)` runs on the stack [bottom, bottom + size) at the first enter; it never
 * returns. */
void bh_context_init(struct bh_context *context, void *bottom, size_t size,
                     void (*main)(void *argument), void *argument);
void bh_context_fini(struct bh_context *context);

void bh_context_enter(struct bh_context *context);
void bh_context_leave(struct bh_context *context);
void bh_context_leave_last(struct bh_context *context) BH_NORETURN;
