/*
 * This process among those that share the database: a number, and a lock that ends with the
 * process, however it ends.
 *
 * Model: `<database>.lock` is a file of which each process locks one byte, the one at its number
 * (an open-file-description lock). The kernel drops the lock when the process dies, so "does the
 * process that has this job still live?" has an exact answer at once: no lease runs out under a
 * process that was merely stopped, and none must run out before a dead one's work is taken over.
 * On PostgreSQL a session's lock does the same (instance_session.h).
 */
#pragma once

#include <stdbool.h>

#include "ingest/instance_session.h"

struct tome_instance {
    int64_t number; /* read-only: positive, at random */
    int fd;         /* private, as the rest; -1: none */
    struct tome_instance_session *session;
    struct bh_db *db;
};

/* `database_path`: the database's file; the lock file stands beside it. */
int tome_instance_init(struct tome_instance *instance, const char *database_path,
                       struct bh_error *reterr) BH_MUST_CHECK;
/* The same in a PostgreSQL database, `url` being that of `db` (borrowed). Not from a fiber. */
int tome_instance_init_session(struct tome_instance *instance, struct bh_db *db, const char *url,
                               struct bh_error *reterr) BH_MUST_CHECK;
void tome_instance_fini(struct tome_instance *instance);

/* Whether a process with this number lives. Own or unreadable: true. Fiber. */
bool tome_instance_is_alive(const struct tome_instance *instance, int64_t number);

/* The number of one of the other processes that live, the same as long as it does; 0: there is
 * none, or on PostgreSQL, where who leaves says so. One system call. */
int64_t tome_instance_other(const struct tome_instance *instance);
