#include "memory_fit.h"

#include <string.h>

#include "bulkhead/base/buf.h"
#include "bulkhead/base/log.h"
#include "bulkhead/overload/memory_probe.h"

#define MB (INT64_C(1) << 20)
#define LINE_BYTES_MAX 1024

/* Of a client that reads nothing: a quarter of a megabyte here, as much in the system's buffers. */
#define STREAM_BYTES (INT64_C(512) * 1024)

/* An extractor takes some ten for a book without pictures, and what its file asks for. */
#define EXTRACTOR_BYTES (INT64_C(128) * 1024 * 1024)
#define EXTRACT_MEMORY_MB_MIN 64 /* as in the settings' table */

static int64_t at_most(const int64_t value, const int64_t most)
{
    const int64_t bound = most > 1 ? most : 1;
    return value < bound ? value : bound;
}

void tome_memory_fit_to(struct tome_settings *const settings, const uint64_t bound_bytes)
{
    const int64_t half = (int64_t)(bound_bytes / 2), quarter = half / 2;
    settings->cache_max_mb = at_most(settings->cache_max_mb, quarter / MB);
    settings->http_unsent_max_mb = at_most(settings->http_unsent_max_mb, quarter / MB);
    settings->max_concurrent_streams = at_most(settings->max_concurrent_streams,
                                               quarter / STREAM_BYTES);
    settings->ingest_workers = at_most(settings->ingest_workers, half / EXTRACTOR_BYTES);
    const int64_t each_mb = half / settings->ingest_workers / MB;
    settings->extract_memory_mb = at_most(settings->extract_memory_mb,
                                          each_mb > EXTRACT_MEMORY_MB_MIN ? each_mb
                                                                          : EXTRACT_MEMORY_MB_MIN);
}

static void add(struct bh_buf *const line, const char *const name, const int64_t wanted,
                const int64_t fitting)
{
    if (fitting < wanted)
        bh_buf_printf(line, "%s %s %lld for %lld", line->size > 0 ? "," : "", name,
                      (long long)fitting, (long long)wanted);
}

static void tell(const struct bh_memory_figures *const figures,
                 const struct tome_settings *const wanted,
                 const struct tome_settings *const fitting)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf line;
    bh_buf_init(&line, LINE_BYTES_MAX);
    add(&line, "CACHE_MAX_MB", wanted->cache_max_mb, fitting->cache_max_mb);
    add(&line, "HTTP_UNSENT_MAX_MB", wanted->http_unsent_max_mb, fitting->http_unsent_max_mb);
    add(&line, "MAX_CONCURRENT_STREAMS", wanted->max_concurrent_streams,
        fitting->max_concurrent_streams);
    add(&line, "INGEST_WORKERS", wanted->ingest_workers, fitting->ingest_workers);
    add(&line, "EXTRACT_MEMORY_MB", wanted->extract_memory_mb, fitting->extract_memory_mb);
    if (line.size > 0)
        bh_log_warning("memory", "To fit into %.0f MB (%s):%.*s",
                       (double)figures->limit_bytes / (double)MB, figures->limit_source,
                       (int)line.size, bh_buf_peek(&line).data);
}

int tome_memory_fit(struct tome_settings *const settings, struct bh_error *const reterr)
{
    const struct bh_memory_probe_options options = {
        .root = "", .limit_bytes = (uint64_t)settings->memory_limit_mb << 20
    };
    struct bh_memory_probe *probe = NULL;
    struct bh_memory_figures figures;
    if (bh_memory_probe_create(&options, &probe) != 0)
        return bh_error_set(reterr, BH_ENOMEM, "no memory for the memory probe");
    const int result = bh_memory_probe_read(probe, &figures, reterr);
    bh_memory_probe_destroy(probe);
    if (result != 0 || strcmp(figures.limit_source, "machine") == 0)
        return result;
    const struct tome_settings wanted = *settings;
    tome_memory_fit_to(settings, figures.limit_bytes);
    tell(&figures, &wanted, settings);
    return 0;
}
