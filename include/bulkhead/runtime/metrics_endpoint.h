/* `/metrics`: Prometheus text, or OpenMetrics where `Accept` asks for it. */
#pragma once

#include "bulkhead/http/request.h"

int bh_metrics_respond(struct bh_request *request);
