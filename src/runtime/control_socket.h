/* The control socket's address: a path of any length. One thread. */
#pragma once

#include <sys/un.h>

#include "bulkhead/base/error.h"

/* Where a path leads: a socket's address holds 107 bytes of it, so it is named by way of its
 * folder's descriptor. */
struct bh_control_place {
    int folder; /* private; -1: none */
    struct sockaddr_un address;
};

int bh_control_place_init(struct bh_control_place *place, const char *path,
                          struct bh_error *reterr) BH_MUST_CHECK;
void bh_control_place_fini(struct bh_control_place *place);

/* A connected, blocking stream socket, or -1: nobody listens there. */
int bh_control_place_connect(const struct bh_control_place *place);
