/* How a database's connections fare: the answer of `GET /api/health/database`. */
#pragma once

#include "bulkhead/db/statistics.h"
#include "bulkhead/http/request.h"

/* 200, or 503 while a lane's database takes no connections. Asks no database: the answer comes also
 * when every connection is taken. */
int bh_database_health_respond(struct bh_request *request, struct bh_db *db);
