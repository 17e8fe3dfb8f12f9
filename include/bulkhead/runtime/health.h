/*
 * Health: is the process alive, is it ready for requests, and how is each part doing.
 *
 * Checks are added at start and run, one after the other, in the asking request's fiber, each with
 * at most BH_HEALTH_CHECK_US. Live touches nothing.
 */
#pragma once

#include "bulkhead/base/json.h"
#include "bulkhead/http/request.h"

struct bh_health; /* opaque; after start constant, any thread */

#define BH_HEALTH_CHECK_US (2 * BH_SECOND_US)

enum bh_health_status {
    BH_HEALTH_OK,
    BH_HEALTH_DEGRADED, /* serves, but somebody should look */
    BH_HEALTH_FAILING   /* the answer becomes 503 */
};

/* Writes figures as key-value pairs of an open object (its "status" is written by the caller). */
typedef enum bh_health_status bh_health_check(void *argument, struct bh_json *figures);

int bh_health_create(struct bh_health **ret_health) BH_MUST_CHECK;
void bh_health_destroy(struct bh_health *health);

/* `name`: a literal ("database"). `needed_for_ready`: a failing check makes the process not ready.
 * At most 16. */
void bh_health_add(struct bh_health *health, const char *name, bool needed_for_ready,
                   bh_health_check *check, void *argument);

/* Ready-made check of the free space where `path` lies (failing below 64 MB, degraded below 5%);
 * `path` is borrowed. Memory's is in memory.h. */
void bh_health_add_disk_space(struct bh_health *health, const char *path);

/* The circuit breakers of the process: degraded while one is not closed. */
void bh_health_add_breakers(struct bh_health *health);

/* Handlers' bodies. Full: 200, or 503 when a part is failing. Ready: 200, or 503 while leaving or
 * when a needed part is failing. Live: 200 while the loop turns. */
int bh_health_respond_full(struct bh_request *request, const struct bh_health *health);
int bh_health_respond_ready(struct bh_request *request, const struct bh_health *health);
int bh_health_respond_live(struct bh_request *request);
