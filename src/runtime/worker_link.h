/*
 * The worker's end of the channel to its supervisor (worker_process.h has the messages). The socket
 * is watched on the first loop; messages may be sent from any thread.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

/* What the supervisor wants, or what its silence means. */
enum bh_link_wish {
    BH_LINK_STOP,     /* the service ends */
    BH_LINK_REPLACED, /* another worker serves the listener */
    BH_LINK_NOW,      /* close what is left */
    BH_LINK_ORPHANED  /* the supervisor is gone */
};

struct bh_worker_link {
    int fd; /* private, as all here; -1: none */
    uv_poll_t poll;
    bool is_watching;
    void (*wished)(struct bh_worker_link *link, enum bh_link_wish wish);
};

/* Watches `fd` on the loop; `wished` is called there. */
void bh_worker_link_watch(struct bh_worker_link *link, uv_loop_t *loop, int fd,
                          void (*wished)(struct bh_worker_link *link, enum bh_link_wish wish));
/* Ends the watching; the descriptor stays open until the process ends. */
void bh_worker_link_unwatch(struct bh_worker_link *link);

/* Sends a message: its letter and, for some, a text. Any thread. */
void bh_worker_link_say(int fd, char letter, const char *text);
