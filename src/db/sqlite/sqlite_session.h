/*
 * A session: one connection with its prepared statements, used by one thread at a time.
 *
 * What runs on it can be stopped from outside only through the `struct bh_sqlite_stop` of the call
 * that runs: SQLite asks it every few thousand steps and while it waits for a lock. A stop that
 * comes late finds nobody asking it any more, so it can never hit the next call.
 */
#pragma once

#include <stdatomic.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/db/sqlite.h"
#include "db/db_metrics.h"

struct bh_sqlite_stop {
    atomic_int reason;    /* 0, BH_ECANCELED or BH_ETIMEDOUT; set by any thread, never taken back */
    uint64_t deadline_us; /* monotonic */
};

/* What the sessions of a database share; lives as long as they do. */
struct bh_sqlite_config {
    char *path;
    const struct bh_statement *statements;
    size_t statement_count;
    unsigned reader_cache_kib; /* of pages, for each reader */
    uint64_t lock_timeout_us;  /* how long to wait for another process's lock at most */
    bh_sqlite_connect_hook *hook;
    void *hook_argument;
};

/* Statements outside of the config's table that one session may prepare. */
#define BH_SQLITE_LOOSE_MAX 16

struct bh_sqlite_session {
    BH_MAGIC_FIELD;
    const struct bh_sqlite_config *config;
    bool writer;
    struct bh_db_lane_metrics metrics;
    int turn;                    /* writers: the file of sqlite_turn.h */
    sqlite3 *connection;         /* NULL: to be opened before its next use */
    sqlite3_stmt **prepared;     /* by the statement's index; NULL: not yet on this connection */
    struct bh_sqlite_stop *stop; /* of the running call; NULL: nothing may stop it */
    uint64_t lock_wait_since_us;
    uint64_t rows;           /* of the running call, as told by bh_sqlite_set_rows */
    unsigned log_pages;      /* in the log as of the last commit; 0: emptied since */
    unsigned log_pages_next; /* when to try again to empty it */
    struct {
        const struct bh_statement *statement;
        sqlite3_stmt *prepared;
    } loose[BH_SQLITE_LOOSE_MAX];
    void *data;
    void (*destroy_data)(void *data);
};

/* `config` is borrowed. */
int bh_sqlite_session_init(struct bh_sqlite_session *session, const struct bh_sqlite_config *config,
                           bool writer) BH_MUST_CHECK;
void bh_sqlite_session_fini(struct bh_sqlite_session *session);

/* Opens the connection if there is none. */
int bh_sqlite_session_ensure(struct bh_sqlite_session *session,
                             struct bh_error *reterr) BH_MUST_CHECK;

/* After a call: no statement is left half-read and no transaction open; a connection that cannot be
 * brought to that is closed. Returns whether it was so already. */
bool bh_sqlite_session_settle(struct bh_sqlite_session *session);

/* Keeps the log short; for the writer's thread between calls. `idle`: nobody wants the thread, and
 * the log is emptied; otherwise only a long log is looked at. */
void bh_sqlite_session_maintain(struct bh_sqlite_session *session, bool idle);

/* Whether there is a log to empty when the thread is idle. */
bool bh_sqlite_session_wants_care(const struct bh_sqlite_session *session);

/* Gives back what memory the connection can spare: its page cache above all. Between calls. */
void bh_sqlite_session_shrink(struct bh_sqlite_session *session);

/* BEGIN IMMEDIATE on a writer, waiting for other processes' locks; one snapshot on a reader. */
int bh_sqlite_session_begin(struct bh_sqlite_session *session,
                            struct bh_error *reterr) BH_MUST_CHECK;
int bh_sqlite_session_commit(struct bh_sqlite_session *session,
                             struct bh_error *reterr) BH_MUST_CHECK;
void bh_sqlite_session_rollback(struct bh_sqlite_session *session);

/* bh_sqlite_error, told with the statement's name. */
int bh_sqlite_session_error(struct bh_sqlite_session *session, const struct bh_statement *statement,
                            int result, struct bh_error *reterr);
