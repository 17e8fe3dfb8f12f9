/* SQLite's result codes in the terms of bh_error: code, SQLSTATE, and a cure where there is one. */
#include <errno.h>
#include <string.h>

#include "bulkhead/base/error.h"
#include "bulkhead/db/sqlite.h"

struct mapping {
    int result; /* SQLite's, extended or primary */
    int code;
    const char *sqlstate;
    const char *cure; /* appended to SQLite's message; "" for none */
};

/* Extended codes before their primary one: the first match counts. */
static const struct mapping mappings[] = {
    { SQLITE_CONSTRAINT_UNIQUE, BH_EEXISTS, "23505", "" },
    { SQLITE_CONSTRAINT_PRIMARYKEY, BH_EEXISTS, "23505", "" },
    { SQLITE_CONSTRAINT_ROWID, BH_EEXISTS, "23505", "" },
    { SQLITE_CONSTRAINT_FOREIGNKEY, BH_ECONFLICT, "23503", "" },
    { SQLITE_CONSTRAINT_NOTNULL, BH_ECONFLICT, "23502", "" },
    { SQLITE_CONSTRAINT_CHECK, BH_ECONFLICT, "23514", "" },
    { SQLITE_CONSTRAINT_DATATYPE, BH_EINVAL, "22000", "" },
    { SQLITE_CONSTRAINT, BH_ECONFLICT, "23000", "" },
    { SQLITE_MISMATCH, BH_EINVAL, "22000", "" },
    { SQLITE_TOOBIG, BH_ELIMIT, "54000", "" },
    { SQLITE_BUSY, BH_EUNAVAILABLE, "55P03",
      "; another process holds the database's lock: wait for it or stop it" },
    { SQLITE_LOCKED, BH_EUNAVAILABLE, "55P03", "" },
    { SQLITE_PROTOCOL, BH_EUNAVAILABLE, "55P03", "; try again" },
    { SQLITE_INTERRUPT, BH_ECANCELED, "57014", "" },
    { SQLITE_FULL, BH_ENOSPACE, "53100", "; free some space on the database's disk" },
    { SQLITE_CORRUPT, BH_ECORRUPT, "XX001", "; restore the file from a backup" },
    { SQLITE_NOTADB, BH_ECORRUPT, "XX001",
      "; name another file, or restore this one from a backup" },
    { SQLITE_READONLY, BH_EACCESS, "25006",
      "; make the file and its folder writable for this user" },
    { SQLITE_PERM, BH_EACCESS, "42501", "; make the file and its folder writable for this user" },
    { SQLITE_CANTOPEN, BH_EACCESS, "58030",
      "; the file and its folder must exist and be writable for this user" },
    { SQLITE_AUTH, BH_EACCESS, "42501", "" },
    { SQLITE_NOMEM, BH_ENOMEM, "53200", "" },
    { SQLITE_IOERR_NOMEM, BH_ENOMEM, "53200", "" },
    { SQLITE_IOERR, BH_EIO, "58030", "; check the disk" },
};

static const struct mapping disk_full = { SQLITE_IOERR, BH_ENOSPACE, "53100",
                                          "; free some space on the database's disk" };
static const struct mapping other = { SQLITE_ERROR, BH_EINTERNAL, "XX000", "" };

/* An out-of-space write to the log or its index is reported as a plain input/output error. */
static bool is_disk_full(sqlite3 *const connection, const int result)
{
    if ((result & 0xff) != SQLITE_IOERR || !connection)
        return false;
    const int errno_value = sqlite3_system_errno(connection);
    return errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG;
}

static const struct mapping *mapping_of(sqlite3 *const connection, const int result)
{
    if (is_disk_full(connection, result))
        return &disk_full;
    for (size_t i = 0; i < BH_COUNT_OF(mappings); i++) {
        if (mappings[i].result == result)
            return &mappings[i];
    }
    for (size_t i = 0; i < BH_COUNT_OF(mappings); i++) {
        if (mappings[i].result == (result & 0xff))
            return &mappings[i];
    }
    return &other;
}

int bh_sqlite_error(sqlite3 *const connection, const int result, const char *const what,
                    struct bh_error *const reterr)
{
    const struct mapping *const mapping = mapping_of(connection, result);
    const bool has_message = connection && (sqlite3_errcode(connection) & 0xff) == (result & 0xff);
    bh_error_set(reterr, mapping->code, "%s: %s%s", what,
                 has_message ? sqlite3_errmsg(connection) : sqlite3_errstr(result), mapping->cure);
    if (reterr)
        memcpy(reterr->sqlstate, mapping->sqlstate, strlen(mapping->sqlstate) + 1);
    return mapping->code;
}
