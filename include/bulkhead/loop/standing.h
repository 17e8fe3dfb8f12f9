/*
 * For whom a fiber works: who comes first where there is not enough for all (connections to a
 * database, say), and whose share that is. It goes with the running fiber; a new one is NORMAL, of
 * nobody, and inherits nothing. From a fiber.
 */
#pragma once

#include <stdint.h>

enum bh_fiber_priority {
    BH_FIBER_NORMAL, /* people */
    BH_FIBER_HIGH,   /* health, operators, and what is urgent */
    BH_FIBER_LOW     /* what can wait, and be refused first */
};

struct bh_fiber_standing {
    enum bh_fiber_priority priority;
    uint32_t tenant; /* 0: nobody */
};

void bh_fiber_set_standing(struct bh_fiber_standing standing);
struct bh_fiber_standing bh_fiber_standing(void);
