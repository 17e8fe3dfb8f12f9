#include "bulkhead/runtime/metrics_endpoint.h"

#include "bulkhead/base/metrics.h"

#define EXPOSITION_MAX (16u << 20)

/* Quality values are not weighed: a scraper that names OpenMetrics at all prefers it. */
static bool wants_openmetrics(struct bh_request *const request)
{
    const struct bh_str accept = bh_request_header(request, "accept");
    const struct bh_str type = BH_STR("application/openmetrics-text");
    return accept.size >= type.size &&
           memmem(accept.data, accept.size, type.data, type.size) != NULL;
}

int bh_metrics_respond(struct bh_request *const request)
{
    BH_CLEANUP(bh_buf_fini_cleanup) struct bh_buf text;
    bh_buf_init(&text, EXPOSITION_MAX);
    const bool openmetrics = wants_openmetrics(request);
    bh_metrics_expose(&text, openmetrics);
    if (bh_buf_error(&text))
        return bh_respond_error(request, 500, "the metrics do not fit in %u bytes", EXPOSITION_MAX);
    return bh_respond(request, 200,
                      openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8",
                      bh_buf_peek(&text));
}
