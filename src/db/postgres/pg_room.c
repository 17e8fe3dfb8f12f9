#include "db/postgres/pg_room.h"

#include <poll.h>
#include <stdlib.h>

#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"

#define LISTENERS 1 /* pg_listen.h */

/* A standby has as many, or does not start: only the primary is asked. */
static const char question[] = "SELECT current_setting('max_connections')::int"
                               " - current_setting('superuser_reserved_connections')::int";

/* The next result, once it has arrived; NULL: not in time, or never. */
static PGresult *next_result(PGconn *const pg, const uint64_t until_us)
{
    for (int unsent; (unsent = PQflush(pg)) > 0 || PQisBusy(pg);) {
        const uint64_t now_us = bh_time_now_us();
        if (now_us >= until_us)
            return NULL;
        struct pollfd socket = { .fd = PQsocket(pg), .events = POLLIN };
        if (unsent > 0)
            socket.events |= POLLOUT;
        (void)poll(&socket, 1, (int)((until_us - now_us) / BH_MS_US) + 1);
        if (!PQconsumeInput(pg))
            return NULL;
    }
    return PQgetResult(pg);
}

unsigned bh_pg_room_ask(PGconn *const pg, const struct bh_pg_patience *const patience)
{
    if (PQsendQueryParams(pg, question, 0, NULL, NULL, NULL, NULL, 0) != 1 ||
        PQpipelineSync(pg) != 1)
        return 0;
    PGresult *const result = next_result(pg, patience->until_us);
    long room = 0;
    if (result && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        room = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return room > 0 ? (unsigned)room : 0;
}

unsigned bh_pg_room_wanted(const struct bh_postgres_options *const options)
{
    return options->read_maximum + options->overflow + options->write_maximum + LISTENERS;
}

void bh_pg_room_compare(const unsigned room, const struct bh_postgres_options *const options,
                        const char *const where)
{
    const unsigned wanted = bh_pg_room_wanted(options);
    if (room == 0 || wanted <= room)
        return;
    bh_log_warning("db",
                   "the pools may open %u connections (%u to read, %u to write, %d to listen), but "
                   "PostgreSQL at %s has room for %u (max_connections without "
                   "superuser_reserved_connections): lower DB_POOL_MAX or DB_POOL_OVERFLOW, or "
                   "raise max_connections there",
                   wanted, options->read_maximum + options->overflow, options->write_maximum,
                   LISTENERS, where, room);
}
