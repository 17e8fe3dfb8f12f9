/*
 * The HTTP layer's metrics, resolved once for each loop: a request costs a look-up in a small table
 * of its loop's own, and a few adds.
 */
#pragma once

#include "bulkhead/base/metrics.h"
#include "bulkhead/http/router.h"
#include "http/head.h"
#include "http/transport.h"

#define BH_HTTP_METRICS_SLOTS 512 /* (route, method, status) triples remembered; a power of two */

enum bh_http_timeout {
    BH_HTTP_TIMEOUT_HEAD,
    BH_HTTP_TIMEOUT_IDLE,
    BH_HTTP_TIMEOUT_BODY,
    BH_HTTP_TIMEOUT_WRITE,
    BH_HTTP_TIMEOUTS
};

/* Embedded in a loop's state; loop thread. */
struct bh_http_metrics {
    bh_metric in_flight, connections, accepted, turned_away, gave_way, deferred, held, dropped,
        abandoned, received, sent;
    bh_metric timeouts[BH_HTTP_TIMEOUTS];
    bh_metric handshakes[BH_HANDSHAKES];
    bh_metric certificate_expires;
    bh_metric refused[BH_HEAD_REFUSAL_COUNT];
    bh_metric refused_body; /* malformed chunks */
    bh_metric refused_url;  /* malformed percent-coding */
    unsigned used;          /* private */
    struct {
        const struct bh_route *route;
        uint16_t status;
        uint8_t method;
        bool is_used;
        bh_metric requests;
        bh_metric duration;
    } slots[BH_HTTP_METRICS_SLOTS]; /* private */
};

void bh_http_metrics_init(struct bh_http_metrics *metrics);

/* Counts an answered request. `route` NULL: no route was found; its endpoint is "unmatched". */
void bh_http_metrics_answered(struct bh_http_metrics *metrics, const struct bh_route *route,
                              enum bh_http_method method, int status, uint64_t duration_us);
