/* What every handler works with; bh_request_service gives it. Constant after start; any thread. */
#pragma once

#include "bulkhead/http/request.h"
#include "bulkhead/http/static.h"
#include "bulkhead/runtime/auth.h"
#include "bulkhead/runtime/clients.h"
#include "bulkhead/redis/redis.h"
#include "bulkhead/runtime/guard.h"
#include "bulkhead/runtime/health.h"
#include "cache/cache.h"
#include "bulkhead/runtime/rate_limits.h"
#include "ingest/ingest.h"
#include "library/search.h"
#include "settings.h"

struct tome_service {
    const struct tome_settings *settings;
    struct bh_db *db;
    struct tome_searcher *searcher;
    struct tome_provider *provider; /* of generated answers; NULL: none */
    struct tome_ingest *ingest;
    struct bh_health *health;
    struct bh_auth *auth;
    struct tome_cache *cache; /* NULL: none */
    struct bh_guard *guard;
    struct bh_admission *admission;     /* NULL: ADMISSION_ENABLED is off */
    struct bh_redis *redis;             /* NULL without REDIS_URL */
    struct bh_rate_limits *rate_limits; /* NULL where they are off */
    struct bh_clients *clients;
    struct bh_stream_gate *stream_gate;
    struct bh_memory *memory;
    struct bh_tls *tls; /* NULL: plain HTTP */
};

static inline const struct tome_service *tome_service_of(const struct bh_request *const request)
{
    return bh_request_service(request);
}

/* Whose library a request is about: it must not see or touch rows of anybody else. */
static inline int64_t tome_owner_of(const struct bh_request *const request)
{
    return bh_request_principal(request)->user;
}
