#include "http/http_metrics.h"

#include <stdio.h>
#include <string.h>

#define BH_METRICS_FILE "http/http_metrics.def"
#include "bulkhead/base/metrics_define.h"

static const char *const timeout_names[BH_HTTP_TIMEOUTS] = {
    [BH_HTTP_TIMEOUT_HEAD] = "head",
    [BH_HTTP_TIMEOUT_IDLE] = "request",
    [BH_HTTP_TIMEOUT_BODY] = "body",
    [BH_HTTP_TIMEOUT_WRITE] = "reader",
};

static const char *const handshake_names[BH_HANDSHAKES] = {
    [BH_HANDSHAKE_FULL] = "full",        [BH_HANDSHAKE_RESUMED] = "resumed",
    [BH_HANDSHAKE_REFUSED] = "refused",  [BH_HANDSHAKE_ABANDONED] = "abandoned",
    [BH_HANDSHAKE_PLAIN] = "plain_http", [BH_HANDSHAKE_TOO_SLOW] = "too_slow",
};

static bh_metric plain(const enum metric_family family)
{
    return bh_metrics_child(&metric_families[family], NULL, 0);
}

static bh_metric labelled(const enum metric_family family, const char *const value)
{
    return bh_metrics_child(&metric_families[family], &value, 1);
}

void bh_http_metrics_init(struct bh_http_metrics *const metrics)
{
    memset(metrics, 0, sizeof(*metrics));
    bh_metrics_register(metric_families, METRIC_COUNT);
    metrics->in_flight = plain(METRIC_in_flight);
    metrics->connections = plain(METRIC_connections);
    metrics->accepted = plain(METRIC_accepted);
    metrics->turned_away = plain(METRIC_turned_away);
    metrics->gave_way = plain(METRIC_gave_way);
    metrics->deferred = plain(METRIC_deferred);
    metrics->held = plain(METRIC_held);
    metrics->dropped = plain(METRIC_dropped);
    metrics->abandoned = plain(METRIC_abandoned);
    metrics->received = plain(METRIC_received);
    metrics->sent = plain(METRIC_sent);
    for (int i = 0; i < BH_HTTP_TIMEOUTS; i++)
        metrics->timeouts[i] = labelled(METRIC_timeouts, timeout_names[i]);
    metrics->certificate_expires = plain(METRIC_certificate_expires);
    for (int i = 0; i < BH_HANDSHAKES; i++)
        metrics->handshakes[i] = labelled(METRIC_handshakes, handshake_names[i]);
    for (int i = BH_HEAD_ACCEPTED + 1; i < BH_HEAD_REFUSAL_COUNT; i++)
        metrics->refused[i] = labelled(METRIC_refused,
                                       bh_head_refusal_label((enum bh_head_refusal)i));
    metrics->refused_body = labelled(METRIC_refused, "chunk");
    metrics->refused_url = labelled(METRIC_refused, "url_coding");
}

static bh_metric requests_child(const struct bh_route *const route,
                                const enum bh_http_method method, const int status)
{
    char status_text[8];
    snprintf(status_text, sizeof(status_text), "%d", status);
    const char *const values[] = { bh_http_method_text(method),
                                   route ? route->pattern : "unmatched", status_text };
    return bh_metrics_child(&metric_families[METRIC_requests], values, BH_COUNT_OF(values));
}

void bh_http_metrics_answered(struct bh_http_metrics *const metrics,
                              const struct bh_route *const route, const enum bh_http_method method,
                              const int status, const uint64_t duration_us)
{
    size_t at = ((uintptr_t)route >> 3) + (unsigned)method * 61u + (unsigned)status * 7u;
    for (;; at++) {
        at %= BH_HTTP_METRICS_SLOTS;
        if (!metrics->slots[at].is_used ||
            (metrics->slots[at].route == route && metrics->slots[at].status == status &&
             metrics->slots[at].method == method))
            break;
    }
    if (!metrics->slots[at].is_used) {
        /* Routes, methods and the statuses we send are few; should they not be, the table stays
         * half empty and the rest is looked up each time. */
        metrics->slots[at].requests = requests_child(route, method, status);
        metrics->slots[at].duration = labelled(METRIC_duration,
                                               route ? route->pattern : "unmatched");
        if (metrics->used < BH_HTTP_METRICS_SLOTS / 2) {
            metrics->slots[at].route = route;
            metrics->slots[at].method = (uint8_t)method;
            metrics->slots[at].status = (uint16_t)status;
            metrics->slots[at].is_used = true;
            metrics->used++;
        }
    }
    bh_metrics_add(metrics->slots[at].requests, 1);
    bh_metrics_observe_us(metrics->slots[at].duration, duration_us);
}
