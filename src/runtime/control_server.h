/*
 * The supervisor's end of the control socket: a few clients, each with one command. Nothing here
 * blocks. One thread.
 */
#pragma once

#include <stdbool.h>

#include "bulkhead/base/buf.h"
#include "runtime/control_socket.h"

#define BH_CONTROL_CLIENTS_MAX 8
#define BH_CONTROL_COMMAND_MAX 32 /* bytes, with the line's end */

struct bh_control_client {
    int fd;            /* read-only, as all here; -1: the slot is free */
    uint64_t until_us; /* to have sent its command */
    char command[BH_CONTROL_COMMAND_MAX];
    size_t size;
    bool is_waiting; /* the command is whole: an answer is owed */
};

struct bh_control_server {
    int fd;                        /* read-only; -1: none */
    struct bh_control_place place; /* private */
    struct bh_control_client clients[BH_CONTROL_CLIENTS_MAX];
};

/* Listens at `path`; what a killed supervisor left there is replaced. BH_EEXISTS: somebody answers
 * there. After a failure the server is empty, and usable. */
int bh_control_server_init(struct bh_control_server *server, const char *path,
                           struct bh_error *reterr) BH_MUST_CHECK;
/* Removes the socket. Clients still waiting see the end. */
void bh_control_server_fini(struct bh_control_server *server);

/* The listener is readable: takes one client, of this user or root. */
void bh_control_server_accept(struct bh_control_server *server, uint64_t now_us);

/* A client is readable, or its time is over. True: `command` is whole, and terminated. */
bool bh_control_client_read(struct bh_control_client *client, uint64_t now_us);

/* Sends the answer and frees the slot. */
void bh_control_client_answer(struct bh_control_client *client, struct bh_str answer);
