/*
 * A connection of a load to a server on 127.0.0.1: sends a request, reads its answer as it comes
 * and tells when it is complete. Heads of 4 KiB; bodies of a known size or in chunks. Requests may
 * be sent behind others that wait for their answers, unless those come in chunks. One thread, one
 * epoll.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "bulkhead/base/str.h"

#define LOAD_HEAD_MAX 4096
#define LOAD_TAIL \
    5 /* "0\r\n\r\n", the end of chunks; what is measured has no "\r\n" in its bodies */

struct load_client {
    int fd;          /* private; -1: not connected */
    unsigned asked;  /* read-only: how many answers are to come */
    bool is_between; /* private: no byte of the next answer has come */
    bool is_chunked; /* read-only, as the next ones: of the last answer */
    int status;
    bool closes;                  /* the connection was closed behind it */
    size_t have;                  /* private: bytes in `head` */
    int64_t body_left;            /* private; negative: not known yet */
    char tail[LOAD_TAIL];         /* private: of chunks */
    char head[LOAD_HEAD_MAX + 1]; /* read-only: ends with its last field */
};

struct load_host {
    /* An answer is complete, or (status 0) the connection broke off before all that are to come. */
    void (*take)(struct load_client *client);
    /* A piece of a body, with a '\0' behind it where no further answer is to come; NULL: not
     * wanted. */
    void (*take_body)(struct load_client *client, const char *data, size_t size);
    int epoll;                  /* private */
    struct sockaddr_in address; /* private */
};

/* After its functions were set. */
void load_host_init(struct load_host *host, uint16_t port);

void load_client_init(struct load_client *client);

/* Sends `count` requests; connects if need be. False: they cannot be sent, the connection is closed
 * and no answer is to come, to earlier ones neither. */
bool load_client_send(struct load_client *client, const struct load_host *host,
                      const char *requests, size_t size, unsigned count) BH_MUST_CHECK;

/* Closes the connection, without an answer to what was asked. */
void load_client_leave(struct load_client *client);

/* Whether the last answer's head has the text, of any case: "\r\nRetry-After: ". */
bool load_client_says(const struct load_client *client, const char *text);

/* Reads what there is, and waits for the first of it until `until_us` of the monotonic clock. True:
 * there may be more at once. */
bool load_host_read(const struct load_host *host, uint64_t until_us);

/* A number, or the end of the program. */
int64_t load_number(struct bh_str text);
