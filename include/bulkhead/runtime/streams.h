/* What clients are told of the stream gate. */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/overload/stream_gate.h"

/* For the result of bh_stream_gate_claim or _enter: BH_EBUSY is answered with 503, Retry-After and
 * {"error":"Server at stream capacity, please retry"}; BH_ELIMIT with 429, Retry-After and
 * {"error":"Too many streams at a time","detail":…,"retry_after":n}; others are given back, for the
 * handler to return. */
int bh_streams_refuse(struct bh_request *request, struct bh_stream_gate *gate, int result);

/* The answer of `GET /api/health/streams`; 200 whatever it says. */
int bh_streams_health_respond(struct bh_request *request, struct bh_stream_gate *gate);
