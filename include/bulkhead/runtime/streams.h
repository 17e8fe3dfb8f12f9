/* What clients are told of the stream gate. */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/overload/stream_gate.h"

/* For the result of bh_stream_gate_enter: BH_EBUSY is answered with 503, Retry-After and
 * {"error":"Server at stream capacity, please retry"}; others are given back, for the handler to
 * return. */
int bh_streams_refuse(struct bh_request *request, int result);

/* The answer of `GET /api/health/streams`; 200 whatever it says. */
int bh_streams_health_respond(struct bh_request *request, struct bh_stream_gate *gate);
