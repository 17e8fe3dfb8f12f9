/* One table from SQLSTATEs to codes; exact states stand before their class. */
#include "db/postgres/pg_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/str.h"

struct mapping {
    const char *sqlstate; /* a whole state, or its beginning */
    int code;
    const char *cure; /* appended to the server's message; "" for none */
};

static const struct mapping mappings[] = {
    { "23505", BH_EEXISTS, "" },
    { "23P01", BH_EEXISTS, "" }, /* exclusion constraint */
    { "23", BH_ECONFLICT, "" },
    { "40", BH_ECONFLICT, "; try the transaction again" },
    { "55P03", BH_EUNAVAILABLE, "; another session holds the lock" },
    { "55", BH_ECONFLICT, "" },
    { "57014", BH_ETIMEDOUT, "" },
    { "25P03", BH_ETIMEDOUT, "" },
    { "25006", BH_EACCESS, "; it runs on a read-only connection" },
    { "42501", BH_EACCESS, "; grant it to the database's user" },
    { "28", BH_EACCESS, "; check user, password and pg_hba.conf" },
    { "3D000", BH_ENOTFOUND, "; create it (createdb), or name another" },
    { "53100", BH_ENOSPACE, "; free some space on the database's disk" },
    { "53300", BH_EUNAVAILABLE, "; raise max_connections or lower the pools' sizes" },
    { "53", BH_EUNAVAILABLE, "" },
    { "54", BH_ELIMIT, "" },
    { "57", BH_EUNAVAILABLE, "" },
    { "08P01", BH_EINVAL, "" }, /* a Bind that does not fit its statement */
    { "08", BH_EUNAVAILABLE, "" },
    { "58", BH_EIO, "; check the database's disk" },
    { "XX001", BH_ECORRUPT, "; restore the database from a backup" },
    { "XX002", BH_ECORRUPT, "; rebuild the index (REINDEX)" },
    { "22", BH_EINVAL, "" },
};

static const struct mapping *mapping_of(const char *const sqlstate)
{
    static const struct mapping other = { "", BH_EINTERNAL, "" };
    for (size_t i = 0; i < BH_COUNT_OF(mappings); i++) {
        if (strncmp(sqlstate, mappings[i].sqlstate, strlen(mappings[i].sqlstate)) == 0)
            return &mappings[i];
    }
    return &other;
}

static void set_sqlstate(struct bh_error *const reterr, const char *const sqlstate)
{
    if (reterr)
        snprintf(reterr->sqlstate, sizeof(reterr->sqlstate), "%s", sqlstate);
}

static const char *field(const PGresult *const result, const int code)
{
    const char *const text = PQresultErrorField(result, code);
    return text ? text : "";
}

/* libpq's messages end with a line break and may have several lines; those with a tab in front ask
 * the reader something. */
static void one_line(const char *from, char *to, const size_t size)
{
    size_t used = 0;
    for (; *from && used + 1 < size; from++) {
        while (from[0] == '\n' && from[1] == '\t')
            from += 1 + strcspn(from + 1, "\n");
        if (!*from)
            break;
        const bool is_blank = *from == '\n' || *from == '\t' || *from == ' ';
        if (!is_blank)
            to[used++] = *from;
        else if (used > 0 && to[used - 1] != ' ')
            to[used++] = ' ';
    }
    while (used > 0 && to[used - 1] == ' ')
        used--;
    to[used] = '\0';
}

/* The server names both counts: told as every backend tells it. */
static bool wrong_count(const char *const message, const char *const what,
                        struct bh_error *const reterr)
{
    static const char beginning[] = "bind message supplies ";
    if (strncmp(message, beginning, sizeof(beginning) - 1) != 0)
        return false;
    const char *const requires = strstr(message, "requires ");
    if (!requires)
        return false;
    bh_error_set(reterr, BH_EINVAL, "statement \"%s\" takes %ld parameters, %ld given", what,
                 strtol(requires + 9, NULL, 10), strtol(message + sizeof(beginning) - 1, NULL, 10));
    return true;
}

int bh_pg_error_result(const PGresult *const result, const char *const what,
                       struct bh_error *const reterr)
{
    const char *const sqlstate = field(result, PG_DIAG_SQLSTATE);
    const char *const message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *const constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    const struct mapping *const mapping = mapping_of(sqlstate);
    if (message[0] == '\0') {
        char line[256];
        one_line(PQresultErrorMessage(result), line, sizeof(line));
        bh_error_set(reterr, BH_EUNAVAILABLE, "%s: %s", what, line);
        return BH_EUNAVAILABLE;
    }
    if (!wrong_count(message, what, reterr))
        bh_error_set(reterr, mapping->code, "%s: %s%s%s%s%s", what, message,
                     constraint[0] ? " (table " : "",
                     constraint[0] ? field(result, PG_DIAG_TABLE_NAME) : "",
                     constraint[0] ? ")" : "", mapping->cure);
    set_sqlstate(reterr, sqlstate);
    return mapping->code;
}

/* What libpq says of a failed connection has its SQLSTATE nowhere but in the server's wording. */
static int connection_code(const char *const line, const char **const ret_sqlstate,
                           const char **const ret_cure)
{
    static const struct {
        const char *words, *sqlstate, *cure;
        int code;
    } known[] = {
        { "too many connections", "53300", "; raise max_connections or lower the pools' sizes",
          BH_EUNAVAILABLE },
        { "too many clients", "53300", "; raise max_connections or lower the pools' sizes",
          BH_EUNAVAILABLE },
        { "remaining connection slots", "53300",
          "; raise max_connections or lower the pools' sizes", BH_EUNAVAILABLE },
        { "password authentication failed", "28P01", "; check user and password", BH_EACCESS },
        { "no password supplied", "28P01", "; put it into the URL or a password file", BH_EACCESS },
        { "no pg_hba.conf entry", "28000", "; permit this address in pg_hba.conf", BH_EACCESS },
        { "authentication failed", "28000", "; check user and pg_hba.conf", BH_EACCESS },
        { "\" does not exist", "3D000", "; create it (createdb, createuser), or name another",
          BH_ENOTFOUND },
        { "starting up", "57P03", "", BH_EUNAVAILABLE },
        { "shutting down", "57P03", "", BH_EUNAVAILABLE },
        { "in recovery mode", "57P03", "", BH_EUNAVAILABLE },
        { "could not translate host name", "08001", "; check the host's name", BH_EUNAVAILABLE },
        { "Connection refused", "08001", "", BH_EUNAVAILABLE },
        { "timeout expired", "08001", "; check host, port and firewall", BH_EUNAVAILABLE },
        { "No such file or directory", "08001", "", BH_EUNAVAILABLE },
    };
    for (size_t i = 0; i < BH_COUNT_OF(known); i++) {
        if (strstr(line, known[i].words)) {
            *ret_sqlstate = known[i].sqlstate;
            *ret_cure = known[i].cure;
            return known[i].code;
        }
    }
    *ret_sqlstate = "08006";
    *ret_cure = "";
    return BH_EUNAVAILABLE;
}

int bh_pg_error_connection(const PGconn *const connection, const char *const what,
                           struct bh_error *const reterr)
{
    char line[256];
    one_line(PQerrorMessage(connection), line, sizeof(line));
    const char *sqlstate, *cure;
    const int code = connection_code(line, &sqlstate, &cure);
    bh_error_set(reterr, code, "%s%s%s%s", what, what[0] ? ": " : "",
                 line[0] ? line : "the connection is lost", cure);
    set_sqlstate(reterr, sqlstate);
    return code;
}

bool bh_pg_error_is_stale(const PGresult *const result)
{
    const char *const sqlstate = field(result, PG_DIAG_SQLSTATE);
    /* 0A000 has many causes; only this one comes from where plans are checked. */
    return strcmp(sqlstate, "26000") == 0 ||
           (strcmp(sqlstate, "0A000") == 0 &&
            strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0);
}

bool bh_pg_error_is_fatal(const PGresult *const result)
{
    const char *const sqlstate = field(result, PG_DIAG_SQLSTATE);
    return strncmp(sqlstate, "57P0", 4) == 0 || strcmp(sqlstate, "25P03") == 0;
}
