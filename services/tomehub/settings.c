/* The table, and the few values that need more than a look-up. */
#include "settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "client_limits.h"

#define FIELD(member) .offset = offsetof(struct tome_settings, member)
#define SECONDS(n) ((int64_t)((n)*INT64_C(1000000)))

const struct bh_setting tome_settings_table[] = {
    { .name = "HOST",
      .type = BH_SETTING_TEXT,
      .default_value = "127.0.0.1",
      .help = "Address to listen on; with AUTH=none only a loopback address is served.",
      FIELD(host) },
    { .name = "PORT",
      .type = BH_SETTING_INT,
      .default_value = "5001",
      .minimum = 0,
      .maximum = 65535,
      .help = "TCP port to listen on; 0 takes any free one and says which in the log.",
      FIELD(port) },
    { .name = "DATABASE_URL",
      .type = BH_SETTING_URL,
      .default_value = "sqlite:library.db",
      .help = "Where the library is kept: sqlite:PATH, made if it is not there, or "
              "postgresql://USER@HOST:PORT/DATABASE.",
      FIELD(database_url) },
    { .name = "DATABASE_READ_URL",
      .type = BH_SETTING_URL,
      .default_value = "",
      .help = "PostgreSQL: a replica for reads, or several; while it lacks a change that "
              "this server made or saw, or is 5 s behind, the primary serves them.",
      FIELD(database_read_url) },
    { .name = "DATA_DIR",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help = "Folder of uploads in progress; by default <database file>.uploads, with PostgreSQL "
              "tomehub.uploads. Servers on one database that shall take over each other's uploads "
              "share it.",
      FIELD(data_dir) },
    { .name = "LOOPS",
      .type = BH_SETTING_INT,
      .default_value = "0",
      .minimum = 0,
      .maximum = 64,
      .help = "Event loops, each on a thread of its own; 0 is one for each core.",
      FIELD(loops) },

    { .name = "AUTH",
      .type = BH_SETTING_CHOICE,
      .default_value = "none",
      .choices = "none|keys|jwt|keys,jwt",
      .help = "How whoever sends a request proves who it is: by API keys (tomehub keys), by tokens "
              "of an issuer, or not at all.",
      FIELD(auth) },
    { .name = "ALLOW_UNAUTHENTICATED",
      .type = BH_SETTING_BOOL,
      .default_value = "off",
      .help = "Serve an address that other machines reach with AUTH=none: everybody may do "
              "everything.",
      FIELD(allow_unauthenticated) },
    { .name = "API_KEY",
      .type = BH_SETTING_SECRET,
      .default_value = "",
      .help = "The key by which commands ask a running server; profile needs the scope admin.",
      FIELD(api_key) },
    { .name = "JWT_ISSUER",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help = "Whose tokens are taken: their iss, such as "
              "https://securetoken.google.com/PROJECT.",
      FIELD(jwt_issuer) },
    { .name = "JWT_AUDIENCE",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help = "For whom tokens must be made: their aud; with Firebase the project.",
      FIELD(jwt_audience) },
    { .name = "JWT_KEYS",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help = "The issuer's public keys: a file or an https URL of a JSON Web Key Set, or of "
              "certificates by key id.",
      FIELD(jwt_keys) },
    { .name = "JWT_LEEWAY",
      .type = BH_SETTING_DURATION,
      .default_value = "60s",
      .minimum = 0,
      .maximum = SECONDS(600),
      .unit = "s",
      .help = "By how much the issuer's clock may differ from this one's.",
      FIELD(jwt_leeway_us) },

    { .name = "LOG_LEVEL",
      .type = BH_SETTING_CHOICE,
      .default_value = "info",
      .choices = "debug|info|warning|error",
      .help = "The least important lines still logged.",
      FIELD(log_level) },
    { .name = "LOG_FORMAT",
      .type = BH_SETTING_CHOICE,
      .default_value = "auto",
      .choices = "auto|text|json",
      .help = "Log lines as text or JSON; auto is text on a terminal, JSON otherwise.",
      FIELD(log_format) },
    { .name = "ACCESS_LOG",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "One log line for each request answered.",
      FIELD(access_log) },
    { .name = "ACCESS_LOG_SAMPLE",
      .type = BH_SETTING_INT,
      .default_value = "100",
      .minimum = 0,
      .maximum = 100,
      .unit = "percent",
      .help = "Share of requests logged; errors and what took a second are logged always.",
      FIELD(access_log_sample) },

    { .name = "DB_POOL_MIN",
      .type = BH_SETTING_INT,
      .default_value = "5",
      .minimum = 0,
      .maximum = 1000,
      .help = "PostgreSQL: connections kept ready for reading; for writing there are two.",
      FIELD(db_pool_min) },
    { .name = "DB_POOL_MAX",
      .type = BH_SETTING_INT,
      .default_value = "60",
      .minimum = 2,
      .maximum = 1000,
      .help = "PostgreSQL: connections at most, for reading and writing together.",
      FIELD(db_pool_max) },
    { .name = "DB_POOL_READ_SIZE",
      .type = BH_SETTING_INT,
      .default_value = "0",
      .minimum = 0,
      .maximum = 1000,
      .help = "Connections that read; 0 is 4 on SQLite, where each is a thread, and on PostgreSQL "
              "what DB_POOL_WRITE_SIZE leaves of DB_POOL_MAX.",
      FIELD(db_pool_read_size) },
    { .name = "DB_POOL_WRITE_SIZE",
      .type = BH_SETTING_INT,
      .default_value = "10",
      .minimum = 1,
      .maximum = 999,
      .help = "PostgreSQL: connections that write; SQLite has one.",
      FIELD(db_pool_write_size) },
    { .name = "DB_POOL_OVERFLOW",
      .type = BH_SETTING_INT,
      .default_value = "0",
      .minimum = 0,
      .maximum = 1000,
      .help = "PostgreSQL: connections for reading above their number, closed when returned.",
      FIELD(db_pool_overflow) },
    { .name = "DB_POOL_MAX_WAITERS",
      .type = BH_SETTING_INT,
      .default_value = "16384",
      .minimum = 1,
      .maximum = 1000000,
      .help = "Calls that may wait for a connection; the next one is answered 503 at once.",
      FIELD(db_pool_max_waiters) },
    { .name = "DB_POOL_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long a call waits for a connection.",
      FIELD(db_pool_timeout_us) },
    { .name = "DB_POOL_RECYCLE",
      .type = BH_SETTING_DURATION,
      .default_value = "1h",
      .minimum = SECONDS(1),
      .maximum = SECONDS(86400 * 30),
      .unit = "s",
      .help = "PostgreSQL: a connection's longest life; each gets up to a tenth less.",
      FIELD(db_pool_recycle_us) },
    { .name = "DB_POOL_IDLE_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "10m",
      .minimum = SECONDS(1),
      .maximum = SECONDS(86400 * 30),
      .unit = "s",
      .help = "PostgreSQL: connections above the minimum that are idle for longer are closed.",
      FIELD(db_pool_idle_timeout_us) },
    { .name = "DB_POOL_PRE_PING",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "PostgreSQL: a connection that was idle is asked whether it lives before its use.",
      FIELD(db_pool_pre_ping) },
    { .name = "DB_POOL_LEAK_SECONDS",
      .type = BH_SETTING_DURATION,
      .default_value = "60s",
      .minimum = 0,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "PostgreSQL: a connection held for longer is logged with its holder; 0 is never.",
      FIELD(db_pool_leak_us) },
    { .name = "DB_CONNECT_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "10s",
      .minimum = SECONDS(2),
      .maximum = SECONDS(600),
      .unit = "s",
      .help = "PostgreSQL: how long connecting to one host may take, in whole seconds.",
      FIELD(db_connect_timeout_us) },
    { .name = "DB_STATEMENT_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long a statement may run in the database before it is interrupted.",
      FIELD(db_statement_timeout_us) },
    { .name = "SLOW_QUERY_SECONDS",
      .type = BH_SETTING_DURATION,
      .default_value = "1s",
      .minimum = 0,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "Statements that run for this long or longer are logged; 0 logs every one.",
      FIELD(slow_query_us) },
    { .name = "QUERY_REPEAT_LIMIT",
      .type = BH_SETTING_INT,
      .default_value = "10",
      .minimum = 1,
      .maximum = 1000000,
      .help = "Runs of one statement in one request; more are told as N+1.",
      FIELD(query_repeat_limit) },

    { .name = "CACHE_ENABLED",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "Answers are kept for those who ask the same again; never older than what is "
              "committed.",
      FIELD(cache_enabled) },
    { .name = "CACHE_MAX_MB",
      .type = BH_SETTING_INT,
      .default_value = "64",
      .minimum = 1,
      .maximum = 65536,
      .unit = "MB",
      .help = "Memory that kept answers may take.",
      FIELD(cache_max_mb) },
    { .name = "CACHE_TTL_SEARCH",
      .type = BH_SETTING_DURATION,
      .default_value = "600s",
      .minimum = 1000,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "How long answers to searches are kept when nothing changes; up to a tenth less.",
      FIELD(cache_ttl_search_us) },
    { .name = "CACHE_TTL_CONTENT",
      .type = BH_SETTING_DURATION,
      .default_value = "600s",
      .minimum = 1000,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help =
          "How long contents, pages and books are kept when nothing changes; up to a tenth less.",
      FIELD(cache_ttl_content_us) },
    { .name = "CACHE_TTL_CONCEPTS",
      .type = BH_SETTING_DURATION,
      .default_value = "3600s",
      .minimum = 1000,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "How long concepts and their relations are kept when nothing changes; up to a tenth "
              "less.",
      FIELD(cache_ttl_concepts_us) },
    { .name = "CACHE_TTL_DEFAULT",
      .type = BH_SETTING_DURATION,
      .default_value = "300s",
      .minimum = 1000,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "How long lists and counts are kept when nothing changes; up to a tenth less.",
      FIELD(cache_ttl_default_us) },

    { .name = "MAX_UPLOAD_MB",
      .type = BH_SETTING_INT,
      .default_value = "200",
      .minimum = 1,
      .maximum = 100000,
      .unit = "MB",
      .help = "The largest file taken in.",
      FIELD(max_upload_mb) },
    { .name = "INGEST_WORKERS",
      .type = BH_SETTING_INT,
      .default_value = "2",
      .minimum = 1,
      .maximum = 64,
      .help = "Files read at the same time; the others wait in the queue.",
      FIELD(ingest_workers) },
    { .name = "EXTRACT_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "5m",
      .minimum = SECONDS(1),
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "The longest the extractor process may take for one file.",
      FIELD(extract_timeout_us) },
    { .name = "EXTRACT_MEMORY_MB",
      .type = BH_SETTING_INT,
      .default_value = "512",
      .minimum = 64,
      .maximum = 65536,
      .unit = "MB",
      .help = "Memory the extractor process may use for one file.",
      FIELD(extract_memory_mb) },

    { .name = "HTTP_HEAD_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "10s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "From the first byte of a request to the end of its head.",
      FIELD(http_head_timeout_us) },
    { .name = "HTTP_IDLE_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "75s",
      .minimum = 1000,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "How long a connection may stay open without a request.",
      FIELD(http_idle_timeout_us) },
    { .name = "HTTP_REQUEST_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "A request's deadline (uploads, waiting ingests and exports have longer ones).",
      FIELD(http_request_timeout_us) },
    { .name = "HTTP_WRITE_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long a client may take nothing of its answer.",
      FIELD(http_write_timeout_us) },
    { .name = "HTTP_BODY_RATE",
      .type = BH_SETTING_INT,
      .default_value = "1024",
      .minimum = 1,
      .maximum = 1000000000,
      .unit = "bytes/s",
      .help = "The least rate of a request's body after five seconds of grace.",
      FIELD(http_body_rate) },
    { .name = "HTTP_CONNECTIONS_MAX",
      .type = BH_SETTING_INT,
      .default_value = "20000",
      .minimum = 1,
      .maximum = 1000000,
      .help = "Connections open at the same time; the next one is answered 503.",
      FIELD(http_connections_max) },

    { .name = "ADMISSION_ENABLED",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "Only so many requests of a class are in hand as are answered well; others wait.",
      FIELD(admission_enabled) },
    { .name = "ADMISSION_QUEUE",
      .type = BH_SETTING_INT,
      .default_value = "4096",
      .minimum = 1,
      .maximum = 1000000,
      .help = "Requests of a class that may wait to be taken in hand; the next one gets 503.",
      FIELD(admission_queue) },
    { .name = "ADMISSION_WAIT",
      .type = BH_SETTING_DURATION,
      .default_value = "3s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "Who would have to wait for longer is answered 503 at once.",
      FIELD(admission_wait_us) },

    { .name = "BREAKERS_ENABLED",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "Calls to a dependency that fails or is slow are refused for a while.",
      FIELD(breakers_enabled) },
    { .name = "BREAKER_WINDOW",
      .type = BH_SETTING_INT,
      .default_value = "100",
      .minimum = 1,
      .maximum = 1000,
      .help = "Calls of the last minute by which a dependency is judged.",
      FIELD(breaker_window) },
    { .name = "BREAKER_FAILURE_RATE",
      .type = BH_SETTING_PERCENT,
      .default_value = "50",
      .minimum = 1,
      .maximum = 100,
      .unit = "%",
      .help = "Share of failed calls that opens its circuit breaker.",
      FIELD(breaker_failure_rate) },
    { .name = "BREAKER_SLOW_RATE",
      .type = BH_SETTING_PERCENT,
      .default_value = "80",
      .minimum = 1,
      .maximum = 100,
      .unit = "%",
      .help = "Share of slow calls that opens it.",
      FIELD(breaker_slow_rate) },
    { .name = "BREAKER_SLOW_CALL",
      .type = BH_SETTING_DURATION,
      .default_value = "10s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "A call that takes as long is slow.",
      FIELD(breaker_slow_call_us) },
    { .name = "BREAKER_OPEN",
      .type = BH_SETTING_DURATION,
      .default_value = "60s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long an open breaker refuses calls before it lets probes through.",
      FIELD(breaker_open_us) },
    { .name = "BREAKER_PROBES",
      .type = BH_SETTING_INT,
      .default_value = "10",
      .minimum = 1,
      .maximum = 64,
      .help = "Calls let through then; it closes when enough of them went well.",
      FIELD(breaker_probes) },

    { .name = "RATE_LIMIT_ENABLED",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "Limits what one user, or one address without authentication, may ask for.",
      FIELD(rate_limit_enabled) },
    { .name = "RATE_LIMIT_GLOBAL",
      .type = BH_SETTING_TEXT,
      .default_value = "1000",
      .help = "Requests of one client: a number a minute, or 100/second, 100/minute, 5000/hour. "
              "Health, operators' routes and the page's files are not counted.",
      FIELD(rate_limit_global) },
    { .name = "RATE_LIMIT_SEARCH",
      .type = BH_SETTING_TEXT,
      .default_value = "100",
      .help = "Searches of one client, also streamed ones; as above.",
      FIELD(rate_limit_search) },
    { .name = "RATE_LIMIT_INGEST",
      .type = BH_SETTING_TEXT,
      .default_value = "10",
      .help = "Uploads of one client; as above.",
      FIELD(rate_limit_ingest) },
    { .name = "RATE_LIMIT_REFUSED",
      .type = BH_SETTING_TEXT,
      .default_value = "60",
      .help = "Requests of one address that come without a valid key or token; as above. Who has "
              "one is served meanwhile.",
      FIELD(rate_limit_refused) },
    { .name = "RATE_LIMIT_DRY_RUN",
      .type = BH_SETTING_BOOL,
      .default_value = "off",
      .help = "Counts what would be refused in the metrics, refuses nothing.",
      FIELD(rate_limit_dry_run) },
    { .name = "RATE_LIMIT_REDIS_WAIT",
      .type = BH_SETTING_DURATION,
      .default_value = "5ms",
      .minimum = 1000,
      .maximum = SECONDS(10),
      .unit = "s",
      .help = "How long a request waits for REDIS_URL's answer; then this server's own limits "
              "serve, for a second at least.",
      FIELD(rate_limit_redis_wait_us) },
    { .name = "TRUSTED_PROXIES",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help =
          "Addresses and networks, parted by commas, of proxies whose word on who the client is "
          "counts: 127.0.0.1, 10.0.0.0/8.",
      FIELD(trusted_proxies) },
    { .name = "TRUSTED_PROXY_HEADER",
      .type = BH_SETTING_CHOICE,
      .default_value = "x-forwarded-for",
      .choices = "x-forwarded-for|forwarded",
      .help =
          "The header field those proxies write; the other one is never read, since clients can "
          "send it through them.",
      FIELD(trusted_proxy_header) },
    { .name = "REDIS_URL",
      .type = BH_SETTING_URL,
      .default_value = "",
      .help = "Redis or Valkey that several servers share limits and answers by: "
              "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE].",
      FIELD(redis_url) },

    { .name = "MAX_CONCURRENT_STREAMS",
      .type = BH_SETTING_INT,
      .default_value = "100",
      .minimum = 1,
      .maximum = 100000,
      .help = "Streamed answers at the same time; the next one waits, then is answered 503.",
      FIELD(max_concurrent_streams) },
    { .name = "STREAM_WAIT",
      .type = BH_SETTING_DURATION,
      .default_value = "500ms",
      .minimum = 0,
      .maximum = SECONDS(60),
      .unit = "s",
      .help = "How long a request waits for another stream to end.",
      FIELD(stream_wait_us) },
    { .name = "MEMORY_WARNING_THRESHOLD",
      .type = BH_SETTING_PERCENT,
      .default_value = "75",
      .help =
          "Of the memory there is (of the cgroup, else of the machine): above it, caches shrink "
          "and fewer streams are let in.",
      FIELD(memory_warning) },
    { .name = "MEMORY_CRITICAL_THRESHOLD",
      .type = BH_SETTING_PERCENT,
      .default_value = "85",
      .help = "Above it, ingest and streams are answered 503, and the server is replaced if that "
              "helps.",
      FIELD(memory_critical) },
    { .name = "MEMORY_LIMIT_MB",
      .type = BH_SETTING_INT,
      .default_value = "0",
      .minimum = 0,
      .maximum = 1 << 24,
      .unit = "MB",
      .help = "Resident memory the server may use where no cgroup says so; 0 is what there is.",
      FIELD(memory_limit_mb) },
    { .name = "MEMORY_CHECK_INTERVAL",
      .type = BH_SETTING_DURATION,
      .default_value = "5s",
      .minimum = 10000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How often memory is looked at, besides when the kernel tells of pressure.",
      FIELD(memory_check_interval_us) },
    { .name = "MEMORY_RESTART_DELAY",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 0,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long memory is critical until the server is replaced.",
      FIELD(memory_restart_delay_us) },
    { .name = "MEMORY_RESTART_INTERVAL",
      .type = BH_SETTING_DURATION,
      .default_value = "10m",
      .minimum = 0,
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "A server younger than this is not replaced for want of memory.",
      FIELD(memory_restart_interval_us) },

    { .name = "SUPERVISOR",
      .type = BH_SETTING_BOOL,
      .default_value = "on",
      .help = "A parent process keeps the listener, starts the server and replaces it without "
              "loss; off is one process alone.",
      FIELD(supervisor) },
    { .name = "WORKER_START_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "5m",
      .minimum = SECONDS(1),
      .maximum = SECONDS(86400),
      .unit = "s",
      .help = "How long a new worker may take until it serves, migrations included.",
      FIELD(worker_start_timeout_us) },
    { .name = "WORKER_HANG_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 0,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "A worker of which an event loop stands still for this long is replaced; 0 is never.",
      FIELD(worker_hang_timeout_us) },
    { .name = "WORKER_RESTART_LIMIT",
      .type = BH_SETTING_INT,
      .default_value = "10",
      .minimum = 1,
      .maximum = 1000,
      .help = "Ends of the worker in a row, each within a minute of its start, until the server is "
              "given up with exit status 3.",
      FIELD(worker_restart_limit) },

    { .name = "ANSWER_URL",
      .type = BH_SETTING_URL,
      .default_value = "",
      .help = "An OpenAI-compatible service that writes answers (http://127.0.0.1:11434/v1); "
              "empty: they are the library's own sentences.",
      FIELD(answer_url) },
    { .name = "ANSWER_MODEL",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help = "The model the service is asked for.",
      FIELD(answer_model) },
    { .name = "ANSWER_API_KEY",
      .type = BH_SETTING_SECRET,
      .default_value = "",
      .help = "Sent to the service as a bearer token.",
      FIELD(answer_api_key) },
    { .name = "ANSWER_PROXY",
      .type = BH_SETTING_URL,
      .default_value = "",
      .help = "HTTP proxy on the way to the service; those of the environment are ignored.",
      FIELD(answer_proxy) },
    { .name = "ANSWER_CA_FILE",
      .type = BH_SETTING_TEXT,
      .default_value = "",
      .help = "Certificates (PEM) to trust for the service, in place of the system's.",
      FIELD(answer_ca_file) },
    { .name = "ANSWER_CONNECT_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "3s",
      .minimum = 1000,
      .maximum = SECONDS(300),
      .unit = "s",
      .help = "How long connecting to the service may take.",
      FIELD(answer_connect_timeout_us) },
    { .name = "ANSWER_FIRST_BYTE_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "15s",
      .minimum = 1000,
      .maximum = SECONDS(600),
      .unit = "s",
      .help = "How long the service may take until its first text.",
      FIELD(answer_first_byte_timeout_us) },
    { .name = "ANSWER_IDLE_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "10s",
      .minimum = 1000,
      .maximum = SECONDS(600),
      .unit = "s",
      .help = "How long the service may be silent between texts.",
      FIELD(answer_idle_timeout_us) },
    { .name = "ANSWER_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "60s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long the service may take in all; then the library's own sentences answer.",
      FIELD(answer_timeout_us) },

    { .name = "SHUTDOWN_DELAY",
      .type = BH_SETTING_DURATION,
      .default_value = "0s",
      .minimum = 0,
      .maximum = SECONDS(300),
      .unit = "s",
      .help = "After SIGTERM: not ready, still serving, so that a balancer notices.",
      FIELD(shutdown_delay_us) },
    { .name = "SHUTDOWN_TIMEOUT",
      .type = BH_SETTING_DURATION,
      .default_value = "30s",
      .minimum = 1000,
      .maximum = SECONDS(3600),
      .unit = "s",
      .help = "How long requests in flight may take to finish after SIGTERM.",
      FIELD(shutdown_timeout_us) },
};

const size_t tome_settings_count = BH_COUNT_OF(tome_settings_table);

int tome_settings_load(struct tome_settings *const ret_settings,
                       struct bh_settings_origin **const ret_origin, struct bh_error *const reterr)
{
    struct tome_settings settings = { 0 };
    struct bh_settings_origin *origin = NULL;
    int result = bh_settings_load(tome_settings_table, tome_settings_count, ".env", environ,
                                  &settings, &origin, reterr);
    if (result)
        return result;
    result = tome_client_limits_check(&settings, reterr);
    if (result) {
        bh_settings_origin_destroy(origin);
        return result;
    }
    *ret_settings = settings;
    *ret_origin = origin;
    return 0;
}

bool tome_settings_is_loopback(const struct tome_settings *const settings)
{
    const char *const host = settings->host;
    if (strcmp(host, "localhost") == 0)
        return true;
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    struct in6_addr v6;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* `path` against the working directory, without resolving links: the file need not exist yet. */
static int absolute_path(const char *const path, const char *const suffix, char *const buffer,
                         const size_t size, struct bh_error *const reterr)
{
    char directory[PATH_MAX] = "";
    if (path[0] != '/' && getcwd(directory, sizeof(directory)) == NULL)
        return bh_error_errno(reterr, errno, "cannot tell the working directory");
    const int written = snprintf(buffer, size, "%s%s%s%s", directory, path[0] == '/' ? "" : "/",
                                 path, suffix);
    if (written < 0 || (size_t)written >= size)
        return bh_error_set(reterr, BH_EINVAL, "the path %s is too long", path);
    return 0;
}

bool tome_settings_is_postgres(const struct tome_settings *const settings)
{
    const struct bh_str url = bh_str_from(settings->database_url);
    return bh_str_starts_with(url, BH_STR("postgresql:")) ||
           bh_str_starts_with(url, BH_STR("postgres:"));
}

int tome_settings_database_path(const struct tome_settings *const settings, char *const buffer,
                                const size_t size, struct bh_error *const reterr)
{
    static const char scheme[] = "sqlite:";
    const char *const url = settings->database_url;
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 || url[sizeof(scheme) - 1] == '\0')
        return bh_error_set(reterr, BH_EINVAL,
                            "DATABASE_URL takes sqlite:PATH, such as sqlite:library.db, or "
                            "postgresql://USER@HOST:PORT/DATABASE");
    return absolute_path(url + sizeof(scheme) - 1, "", buffer, size, reterr);
}

int tome_settings_data_dir(const struct tome_settings *const settings, char *const buffer,
                           const size_t size, struct bh_error *const reterr)
{
    if (settings->data_dir[0] != '\0')
        return absolute_path(settings->data_dir, "", buffer, size, reterr);
    if (tome_settings_is_postgres(settings))
        return absolute_path("tomehub.uploads", "", buffer, size, reterr);
    char database[PATH_MAX] = "";
    const int error = tome_settings_database_path(settings, database, sizeof(database), reterr);
    return error != 0 ? error : absolute_path(database, ".uploads", buffer, size, reterr);
}

int tome_settings_control_path(const struct tome_settings *const settings, char *const buffer,
                               const size_t size, struct bh_error *const reterr)
{
    char base[PATH_MAX] = "";
    const int error = tome_settings_is_postgres(settings)
                          ? tome_settings_data_dir(settings, base, sizeof(base), reterr)
                          : tome_settings_database_path(settings, base, sizeof(base), reterr);
    char suffix[32];
    snprintf(suffix, sizeof(suffix), ".control-%lld", (long long)settings->port);
    return error != 0 ? error : absolute_path(base, suffix, buffer, size, reterr);
}

enum bh_log_level tome_settings_log_level(const struct tome_settings *const settings)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    for (size_t level = 0; level < BH_COUNT_OF(names); level++)
        if (strcmp(settings->log_level, names[level]) == 0)
            return (enum bh_log_level)level;
    return BH_LOG_INFO;
}

enum bh_log_format tome_settings_log_format(const struct tome_settings *const settings)
{
    static const char *const names[] = { "auto", "text", "json" };
    for (size_t format = 0; format < BH_COUNT_OF(names); format++)
        if (strcmp(settings->log_format, names[format]) == 0)
            return (enum bh_log_format)format;
    return BH_LOG_AUTO;
}
