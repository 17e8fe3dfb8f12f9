/*
 * The connection parameters, and connecting with them.
 *
 * Of several hosts, or addresses of one, libpq itself would always begin at the first, go on from a
 * silent one only after seconds or never, and from one that hangs up never. So each is a connection
 * attempt of its own here, with its part of the time.
 */
#include "db/postgres/pg_config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/base/assert.h"
#include "bulkhead/base/log.h"
#include "bulkhead/base/time.h"
#include "db/postgres/pg_error.h"

#define PARAMETERS_OF_OURS 16
#define PASSWORD_BYTES_MAX 1024
#define HOST_BYTES_MAX 256
#define SERVER_VERSION_MIN 140000       /* client_connection_check_interval */
#define KNOCK_US (120 * BH_MS_US)       /* between attempts while a host is down */
#define HOST_MOST_US (2 * BH_SECOND_US) /* for one of several, where another may answer */
#define HOST_LEAST_US (250 * BH_MS_US)  /* with less, nobody could be called silent */
#define SILENCE_US BH_SECOND_US         /* for so long a silent one is passed by */
#define LOOK_MS 50                      /* how often an attempt looks whether it was given up */
#define LONG_ROW_BYTES "125000"         /* makes it 128 KB */
#define TRANSACTION_IDLE_TIMEOUT_US (10 * BH_SECOND_US)

/* ---- The host ---- */

void bh_pg_host_init(struct bh_pg_host *const host)
{
    pthread_mutex_init(&host->shared.mutex, NULL);
}

void bh_pg_host_fini(struct bh_pg_host *const host)
{
    pthread_mutex_destroy(&host->shared.mutex);
}

void bh_pg_host_wait_for_turn(struct bh_pg_host *const host)
{
    if (!atomic_load(&host->is_failing))
        return;
    const uint64_t now_us = bh_time_now_us();
    uint64_t turn_us, next_us = atomic_load(&host->next_knock_us);
    do {
        turn_us = next_us > now_us ? next_us : now_us;
    } while (!atomic_compare_exchange_weak(&host->next_knock_us, &next_us, turn_us + KNOCK_US));
    if (turn_us > now_us)
        (void)!bh_fiber_sleep(turn_us - now_us);
}

/* ---- Parameters ---- */

/* What a URL may overrule. Keep-alive finds a dead peer that owes an answer, tcp_user_timeout one
 * that does not take what is sent. */
static const char *const defaults[][2] = {
    { "fallback_application_name", "bulkhead" },
    { "gssencmode", "disable" },
    { "keepalives_idle", "15" },
    { "keepalives_interval", "5" },
    { "keepalives_count", "3" },
    { "tcp_user_timeout", "20000" },
};

static int add(struct bh_pg_config *const config, const char *const keyword,
               const char *const value)
{
    char *const keyword_copy = strdup(keyword);
    char *const value_copy = strdup(value);
    if (!keyword_copy || !value_copy) {
        free(keyword_copy);
        free(value_copy);
        return BH_ENOMEM;
    }
    config->keywords[config->parameter_count] = keyword_copy;
    config->values[config->parameter_count] = value_copy;
    config->parameter_count++;
    return 0;
}

static const char *value_of(const struct bh_pg_config *const config, const char *const keyword)
{
    for (size_t i = 0; i < config->parameter_count; i++) {
        if (strcmp(config->keywords[i], keyword) == 0)
            return config->values[i];
    }
    return NULL;
}

static bool is_forced(const char *const keyword)
{
    static const char *const forced[] = { "options", "client_encoding", "connect_timeout",
                                          "replication", "target_session_attrs" };
    for (size_t i = 0; i < BH_COUNT_OF(forced); i++) {
        if (strcmp(forced[i], keyword) == 0)
            return true;
    }
    return false;
}

/* Session settings ride on the connection's start: no round trip, and RESET ALL returns to them.
 * No JIT: a wrong guess of rows makes it compile for longer than a short statement runs. */
static int add_session(struct bh_pg_config *const config, const char *const from_url)
{
    const struct bh_db_options *const options = config->options;
    const uint64_t idle_us = options->transaction_idle_timeout_us
                                 ? options->transaction_idle_timeout_us
                                 : TRANSACTION_IDLE_TIMEOUT_US;
    char text[1024];
    const int size = snprintf(
        text, sizeof(text),
        "-c statement_timeout=%llu -c idle_in_transaction_session_timeout=%llu"
        " -c client_connection_check_interval=100 -c jit=off"
        " -c default_transaction_isolation=read\\ committed"
        " -c default_transaction_read_only=%s %s",
        (unsigned long long)(options->postgres->statement_timeout_us / BH_MS_US),
        (unsigned long long)((idle_us + BH_MS_US - 1) / BH_MS_US),
        config->lane == BH_DB_READ ? "on" : "off", from_url ? from_url : "");
    if (size < 0 || (size_t)size >= sizeof(text))
        return BH_ELIMIT;
    return add(config, "options", text);
}

/* Which of several hosts will do; after a failover, whether this one still does. Where `wanted` is
 * given, another host could miss what was just written. A replica's sessions are read-only by our
 * own doing, which libpq would take for a server that refuses writes. */
static const char *session_of(const struct bh_pg_config *const config, const char *const from_url,
                              const char *const wanted)
{
    if (!wanted)
        return !from_url                             ? "prefer-standby"
               : strcmp(from_url, "read-write") == 0 ? "primary"
                                                     : from_url;
    const bool suits = !from_url || strcmp(from_url, "read-write") == 0 ||
                       strcmp(from_url, "primary") == 0;
    if (!suits && config->lane == BH_DB_WRITE) /* once for both lanes */
        bh_log_warning("db",
                       "target_session_attrs=%s in DATABASE_URL is not followed: reads and writes "
                       "need the primary; name replicas in DATABASE_READ_URL",
                       from_url);
    return wanted;
}

static int add_ours(struct bh_pg_config *const config, const char *const options_from_url)
{
    int result = add(config, "client_encoding", "UTF8");
    if (!result)
        result = add_session(config, options_from_url);
    for (size_t i = 0; !result && i < BH_COUNT_OF(defaults); i++) {
        if (!value_of(config, defaults[i][0]))
            result = add(config, defaults[i][0], defaults[i][1]);
    }
    return result;
}

static int add_all(struct bh_pg_config *const config, const char *const session,
                   const PQconninfoOption *const parsed)
{
    const char *options_from_url = NULL, *session_from_url = NULL;
    size_t given = 0;
    for (const PQconninfoOption *option = parsed; option->keyword; option++)
        given += option->val != NULL;
    config->keywords = calloc(given + PARAMETERS_OF_OURS, sizeof(*config->keywords));
    config->values = calloc(given + PARAMETERS_OF_OURS, sizeof(*config->values));
    if (!config->keywords || !config->values)
        return BH_ENOMEM;
    int result = 0;
    for (const PQconninfoOption *option = parsed; !result && option->keyword; option++) {
        if (option->val && strcmp(option->keyword, "options") == 0)
            options_from_url = option->val;
        if (option->val && strcmp(option->keyword, "target_session_attrs") == 0)
            session_from_url = option->val;
        if (option->val && !is_forced(option->keyword))
            result = add(config, option->keyword, option->val);
    }
    if (!result)
        result = add(config, "target_session_attrs", session_of(config, session_from_url, session));
    return result ? result : add_ours(config, options_from_url);
}

static unsigned parts_of(const char *list)
{
    unsigned count = 1;
    for (; (list = strchr(list, ',')); list++)
        count++;
    return count;
}

/* What libpq would find out by itself, were it given all hosts together. */
static int count_hosts(struct bh_pg_config *const config, struct bh_error *const reterr)
{
    const char *const host = value_of(config, "host");
    const char *const address = value_of(config, "hostaddr");
    const char *const port = value_of(config, "port");
    config->host_count = host ? parts_of(host) : address ? parts_of(address) : 1;
    if (config->host_count > BH_PG_HOSTS_MAX)
        return bh_error_set(reterr, BH_EINVAL, "the database URL names %u hosts: %d at most",
                            config->host_count, BH_PG_HOSTS_MAX);
    const unsigned ports = port ? parts_of(port) : 1;
    if ((ports > 1 && ports != config->host_count) ||
        (address && parts_of(address) != config->host_count))
        return bh_error_set(reterr, BH_EINVAL,
                            "the database URL names %u hosts, but not as many ports or addresses",
                            config->host_count);
    return 0;
}

static void tell_where(struct bh_pg_config *const config)
{
    const char *const host = value_of(config, "host");
    const char *const address = value_of(config, "hostaddr");
    const char *const port = value_of(config, "port");
    const char *const database = value_of(config, "dbname");
    snprintf(config->where, sizeof(config->where), "%s:%s/%s",
             host      ? host
             : address ? address
                       : "local socket",
             port ? port : "5432", database ? database : "");
}

/* libpq quotes what it does not understand, which may be a part of the password. */
static int malformed(const char *const message, struct bh_error *const reterr)
{
    const char *const words = message ? message : "";
    return bh_error_set(reterr, BH_EINVAL,
                        "the database URL is malformed: %.*s…; write "
                        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE with special characters as "
                        "%%XX",
                        (int)strcspn(words, "\"\n"), words);
}

int bh_pg_config_init(struct bh_pg_config *const config, const enum bh_db_lane lane,
                      const char *const session, const char *const url,
                      const struct bh_db_options *const options, struct bh_error *const reterr)
{
    *config = (struct bh_pg_config){ .lane = lane, .options = options };
    char *message = NULL;
    PQconninfoOption *const parsed = PQconninfoParse(url, &message);
    if (!parsed) {
        const int result = malformed(message, reterr);
        PQfreemem(message);
        return result;
    }
    int result = add_all(config, session, parsed);
    PQconninfoFree(parsed);
    if (result)
        bh_error_set(reterr, result, "no memory for the database URL, or its options are too long");
    else
        result = count_hosts(config, reterr);
    if (result) {
        bh_pg_config_fini(config);
        return result;
    }
    tell_where(config);
    return 0;
}

void bh_pg_config_fini(struct bh_pg_config *const config)
{
    for (size_t i = 0; i < config->parameter_count; i++) {
        char *const value = config->values[i];
        bh_assert(value);
        explicit_bzero(value, strlen(value));
        free(value);
        free(config->keywords[i]);
    }
    free(config->keywords);
    free(config->values);
    *config = (struct bh_pg_config){ .parameter_count = 0 };
}

/* Notices are for psql's user; what matters comes as an error. */
static void drop_notice(void *const argument, const PGresult *const result)
{
    (void)argument;
    (void)result;
}

/* ---- Connecting ---- */

/* The part of a list of hosts, addresses or ports that belongs to one host. A single one is for
 * all. */
static const char *part_of(const char *list, unsigned host, char buffer[HOST_BYTES_MAX])
{
    if (!strchr(list, ','))
        return list;
    for (; host > 0 && strchr(list, ','); host--)
        list = strchr(list, ',') + 1;
    const size_t size = strcspn(list, ",");
    snprintf(buffer, HOST_BYTES_MAX, "%.*s", (int)(size < HOST_BYTES_MAX ? size : 0), list);
    return buffer;
}

static void choose_host(const struct bh_pg_config *const config, const unsigned host,
                        const char **const values, char buffers[3][HOST_BYTES_MAX])
{
    static const char *const lists[3] = { "host", "hostaddr", "port" };
    for (size_t i = 0; config->host_count > 1 && i < config->parameter_count; i++) {
        for (size_t which = 0; which < BH_COUNT_OF(lists); which++) {
            if (strcmp(config->keywords[i], lists[which]) == 0)
                values[i] = part_of(values[i], host, buffers[which]);
        }
    }
}

/* `address`: instead of what libpq would find out of the host's name; empty: that. */
static PGconn *begin(const struct bh_pg_config *const config, const unsigned host,
                     const char *const address, const char *const password)
{
    const size_t count = config->parameter_count;
    const char **const keywords = calloc(count + 3, sizeof(*keywords));
    const char **const values = calloc(count + 3, sizeof(*values));
    PGconn *pg = NULL;
    if (keywords && values) {
        for (size_t i = 0; i < count; i++) {
            keywords[i] = config->keywords[i];
            values[i] = config->values[i];
        }
        char buffers[3][HOST_BYTES_MAX];
        choose_host(config, host, values, buffers);
        size_t more = count;
        if (address[0] != '\0') {
            keywords[more] = "hostaddr";
            values[more++] = address;
        }
        keywords[more] = password ? "password" : NULL;
        values[more] = password;
        pg = PQconnectStartParams(keywords, values, 0);
    }
    free(keywords);
    free(values);
    return pg;
}

static bool is_given_up(const struct bh_pg_patience *const patience)
{
    return patience->is_given_up && atomic_load(patience->is_given_up);
}

/* Until the socket is ready; false: not in its time. */
static bool wait_for(const PGconn *const pg, const short events,
                     const struct bh_pg_patience *const patience)
{
    for (;;) {
        const uint64_t now_us = bh_time_now_us();
        if (now_us >= patience->until_us || is_given_up(patience))
            return false;
        const uint64_t left_ms = (patience->until_us - now_us + BH_MS_US - 1) / BH_MS_US;
        struct pollfd socket = { .fd = PQsocket(pg), .events = events };
        const int ready = poll(&socket, 1, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready > 0)
            return true;
    }
}

/* Until the connection is made or has failed; false: neither in its time. */
static bool drive(PGconn *const pg, const struct bh_pg_patience *const patience)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    if (PQstatus(pg) == CONNECTION_BAD)
        return true;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        if (!wait_for(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, patience))
            return false;
        next = PQconnectPoll(pg);
    }
    return true;
}

/* libpq receives what its buffer has room for: 16 KB, unless a row was ever longer. One long row
 * makes room for as long as the connection lives, and a result of 100 KB takes a few system calls,
 * not a dozen. False: no answer in time. */
static bool widen_buffer(PGconn *const pg, const struct bh_pg_patience *const patience)
{
    if (PQsendQuery(pg, "SELECT repeat(' ', " LONG_ROW_BYTES ")") != 1)
        return true; /* the connection is lost: its status tells */
    for (;;) {
        while (PQisBusy(pg)) {
            if (!wait_for(pg, POLLIN, patience))
                return false;
            if (PQconsumeInput(pg) != 1)
                return true;
        }
        PGresult *const result = PQgetResult(pg);
        if (!result)
            return true;
        PQclear(result);
    }
}

static int silent(const PGconn *const pg, struct bh_error *const reterr)
{
    const char *const address = PQhostaddr(pg);
    const bool is_named = address[0] != '\0' && strcmp(address, PQhost(pg)) != 0;
    const int code = bh_error_set(
        reterr, BH_EUNAVAILABLE,
        "connection to server at \"%s\"%s%s%s, port %s failed: no answer in time; check host, port "
        "and firewall",
        PQhost(pg), is_named ? " (" : "", is_named ? address : "", is_named ? ")" : "", PQport(pg));
    if (reterr)
        memcpy(reterr->sqlstate, "08001", sizeof("08001"));
    return code;
}

static int check_server(const PGconn *const pg, struct bh_error *const reterr)
{
    const int version = PQserverVersion(pg);
    if (version < SERVER_VERSION_MIN)
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "the server is PostgreSQL %d.%d; use version 14 or newer",
                            version / 10000, version % 10000);
    const char *const encoding = PQparameterStatus(pg, "server_encoding");
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return bh_error_set(reterr, BH_EUNSUPPORTED,
                            "the database's encoding is %s; create it with ENCODING 'UTF8'",
                            encoding ? encoding : "unknown");
    return 0;
}

/* A part of an attempt: one address, and whether anything was heard from there. */
struct attempt {
    unsigned host;
    const char *address, *password;
    bool has_answered;
};

static int connect_to_address(const struct bh_pg_config *const config,
                              struct attempt *const attempt,
                              const struct bh_pg_patience *const patience,
                              PGconn **const ret_connection, struct bh_error *const reterr)
{
    PGconn *const pg = begin(config, attempt->host, attempt->address, attempt->password);
    if (!pg)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for a database connection");
    attempt->has_answered = drive(pg, patience) &&
                            (PQstatus(pg) != CONNECTION_OK || widen_buffer(pg, patience));
    int result = 0;
    if (!attempt->has_answered)
        result = silent(pg, reterr);
    else if (PQstatus(pg) != CONNECTION_OK)
        result = bh_pg_error_connection(pg, "", reterr);
    else
        result = check_server(pg, reterr);
    if (!result && (PQsetnonblocking(pg, 1) != 0 || PQenterPipelineMode(pg) != 1))
        result = bh_error_set(reterr, BH_EINTERNAL, "the connection has no pipeline mode");
    if (result) {
        PQfinish(pg);
        return result;
    }
    PQsetNoticeReceiver(pg, drop_notice, NULL);
    *ret_connection = pg;
    return 0;
}

/* The end of one host's, or address', part of an attempt's time. */
static uint64_t part_until_us(const struct bh_pg_patience *const patience, const unsigned parts)
{
    const uint64_t now_us = bh_time_now_us();
    if (parts == 1)
        return patience->until_us;
    const uint64_t left_us = patience->until_us > now_us ? patience->until_us - now_us : 0;
    uint64_t part_us = left_us / parts;
    if (part_us < HOST_LEAST_US)
        part_us = HOST_LEAST_US;
    return now_us + (part_us < HOST_MOST_US ? part_us : HOST_MOST_US);
}

/* ---- The addresses of one host ---- */

/* In the order in which they are asked: from the one that was connected to last, which *ret_last
 * gets. Where one server is used at a time, that one stays, whatever the name stands for now. */
static int find_addresses(const struct bh_pg_config *const config, const unsigned host,
                          struct bh_pg_addresses *const ret_addresses,
                          char ret_last[const static BH_PG_ADDRESS_SIZE],
                          struct bh_error *const reterr)
{
    char buffer[HOST_BYTES_MAX];
    struct bh_pg_host *const shared = config->host;
    const char *const names = value_of(config, "hostaddr") ? NULL : value_of(config, "host");
    const int result = bh_pg_addresses_resolve(names ? part_of(names, host, buffer) : NULL,
                                               ret_addresses, reterr);
    if (result)
        return result;
    atomic_store(&shared->address_counts[host], ret_addresses->count);
    pthread_mutex_lock(&shared->shared.mutex);
    memcpy(ret_last, shared->shared.addresses[host], BH_PG_ADDRESS_SIZE);
    pthread_mutex_unlock(&shared->shared.mutex);
    if (ret_last[0] != '\0')
        bh_pg_addresses_begin_with(ret_addresses, ret_last, config->is_one_at_a_time);
    return 0;
}

/* Makes `address` the one that is used, if that is still `last`; false: others have chosen. */
static bool choose(const struct bh_pg_config *const config, const unsigned host,
                   const char *const last, const char *const address)
{
    struct bh_pg_host *const shared = config->host;
    pthread_mutex_lock(&shared->shared.mutex);
    char *const chosen = shared->shared.addresses[host];
    const bool is_free = strcmp(chosen, last) == 0;
    if (is_free)
        snprintf(chosen, BH_PG_ADDRESS_SIZE, "%s", address);
    const bool is_mine = strcmp(chosen, address) == 0;
    pthread_mutex_unlock(&shared->shared.mutex);
    return is_mine;
}

/* A replica's next address may be another server: what the one of before has told, and connections
 * to it, count no more. The turn stays with its host. */
static bool leave_for(const struct bh_pg_config *const config, const unsigned host,
                      char last[const static BH_PG_ADDRESS_SIZE], const char *const address)
{
    struct bh_pg_host *const shared = config->host;
    if (!choose(config, host, last, address))
        return false;
    snprintf(last, BH_PG_ADDRESS_SIZE, "%s", address);
    if (shared->pools[0])
        bh_pool_evict(shared->pools[0]);
    atomic_fetch_add(&shared->turn, config->host_count);
    return true;
}

/* Connected. Where each is asked in turn, the one of before did not do: it may live on without
 * knowing that. One that the name does not stand for any more is left to its fate. */
static bool arrive_at(const struct bh_pg_config *const config, const unsigned host,
                      const struct bh_pg_addresses *const addresses, const char *const last,
                      const char *const address)
{
    if (address[0] == '\0')
        return true;
    const bool is_mine = choose(config, host, last, address);
    if (config->is_one_at_a_time)
        return is_mine;
    if (strcmp(last, address) != 0 && last[0] != '\0' && bh_pg_addresses_have(addresses, last))
        atomic_store(&config->host->has_moved, true);
    return true;
}

static int connect_to(const struct bh_pg_config *const config, const unsigned host,
                      const char *const password, const struct bh_pg_patience *const patience,
                      PGconn **const ret_connection, struct bh_error *const reterr)
{
    struct bh_pg_addresses addresses;
    char last[BH_PG_ADDRESS_SIZE];
    const char *address = "";
    PGconn *pg = NULL;
    bool has_answered = false;
    int result = find_addresses(config, host, &addresses, last, reterr);
    if (result)
        return result;
    for (unsigned i = 0; i < addresses.count && !is_given_up(patience); i++) {
        address = addresses.texts[i];
        if (i > 0 && config->is_one_at_a_time && !leave_for(config, host, last, address))
            break; /* the next attempt goes where another one has gone */
        struct attempt attempt = { .host = host, .address = address, .password = password };
        const struct bh_pg_patience part = { .until_us = part_until_us(patience, addresses.count),
                                             .is_given_up = patience->is_given_up };
        struct bh_error error = { 0 };
        result = connect_to_address(config, &attempt, &part, &pg, &error);
        has_answered |= attempt.has_answered;
        if (result && strcmp(reterr->sqlstate, "53300") != 0)
            *reterr = error;
        if (result != BH_EUNAVAILABLE)
            break;
    }
    if (!is_given_up(patience)) /* else it had not all of its time */
        atomic_store(&config->host->silent_until_us[host],
                     has_answered ? 0 : bh_time_now_us() + SILENCE_US);
    if (!pg)
        return result ? result : bh_error_set(reterr, BH_EUNAVAILABLE, "the attempt was given up");
    if (!arrive_at(config, host, &addresses, last, address)) {
        PQfinish(pg);
        return bh_error_set(reterr, BH_EUNAVAILABLE, "another address was chosen meanwhile");
    }
    *ret_connection = pg;
    return 0;
}

/* ---- The hosts ---- */

static bool is_silent(const struct bh_pg_config *const config, const unsigned host)
{
    return atomic_load(&config->host->silent_until_us[host]) > bh_time_now_us();
}

/* Nobody else would answer either, as far as is known. */
static bool are_all_silent(const struct bh_pg_config *const config)
{
    for (unsigned host = 0; host < config->host_count; host++) {
        if (!is_silent(config, host))
            return false;
    }
    return true;
}

/* Each host until one will do. What the server says who has no room is what matters of several
 * errors: others are standbys, or gone. */
static int connect_to_any(const struct bh_pg_config *const config, const char *const password,
                          const struct bh_pg_patience *const patience,
                          PGconn **const ret_connection, struct bh_error *const reterr)
{
    const unsigned first = atomic_load(&config->host->turn) % config->host_count;
    const unsigned hosts = config->is_one_at_a_time ? 1 : config->host_count;
    const bool passes_by = hosts > 1 && !are_all_silent(config);
    int result = bh_error_set(reterr, BH_EUNAVAILABLE, "no host has answered for a second");
    for (unsigned i = 0; i < hosts && result == BH_EUNAVAILABLE && !is_given_up(patience); i++) {
        const unsigned host = (first + i) % config->host_count;
        if (passes_by && is_silent(config, host))
            continue;
        const struct bh_pg_patience part = { .until_us = part_until_us(patience, hosts),
                                             .is_given_up = patience->is_given_up };
        struct bh_error error = { 0 };
        result = connect_to(config, host, password, &part, ret_connection, &error);
        if (!result && hosts > 1 && atomic_exchange(&config->host->turn, host) != host)
            atomic_store(&config->host->has_moved, true);
        if (result && strcmp(reterr->sqlstate, "53300") != 0)
            *reterr = error;
    }
    return result;
}

unsigned bh_pg_config_addresses(const struct bh_pg_config *const config)
{
    unsigned sum = 0;
    for (unsigned host = 0; host < config->host_count; host++) {
        const unsigned count = atomic_load(&config->host->address_counts[host]);
        sum += count ? count : 1;
    }
    return sum;
}

uint64_t bh_pg_config_until_us(const struct bh_pg_config *const config)
{
    return bh_time_now_us() + config->host_count * config->options->postgres->connect_timeout_us;
}

int bh_pg_config_connect(const struct bh_pg_config *const config,
                         const struct bh_pg_patience *const patience, PGconn **const ret_connection,
                         struct bh_error *const reterr)
{
    char password[PASSWORD_BYTES_MAX];
    const struct bh_postgres_options *const options = config->options->postgres;
    const bool asks = options->password != NULL;
    if (asks) {
        const int result = options->password(options->password_argument, password, sizeof(password),
                                             reterr);
        if (result)
            return result;
    }
    struct bh_error error = { 0 };
    const int result = connect_to_any(config, asks ? password : NULL, patience, ret_connection,
                                      &error);
    if (asks)
        explicit_bzero(password, sizeof(password));
    if (result && reterr)
        *reterr = error;
    return result;
}
