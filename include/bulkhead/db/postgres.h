/*
 * What only PostgreSQL has: how connections are made and kept. 0 stands for the default.
 */
#pragma once

#include "bulkhead/db/db.h"

/* Writes the password (terminated) for a connection about to be made. A worker thread, perhaps
 * several at once. 0, or an error with its message. */
typedef int bh_postgres_password(void *argument, char *buffer, size_t size,
                                 struct bh_error *reterr);

struct bh_postgres_options {
    const char *read_url; /* of a replica: for reads that do not miss a write of this process */
    unsigned loops;       /* that will make calls: one for each core */
    unsigned read_minimum, read_maximum;   /* connections: 5 to 50, at most 1,000 */
    unsigned write_minimum, write_maximum; /* 2 to 10 */
    unsigned overflow;                     /* for reading, above the maximum: none */
    uint64_t connect_timeout_us;           /* 10 s; for each of several hosts 2 s at most */
    uint64_t statement_timeout_us;         /* the longest a statement may run: 30 s */
    uint64_t lifetime_us;                  /* of a connection: 1 h */
    uint64_t idle_timeout_us;              /* above the minimum: 10 min */
    bool no_ping;                          /* idle connections are used without asking them */
    bh_postgres_password *password;        /* NULL: from the URL or a password file */
    void *password_argument;
};
