/* What keeps the server useful when there is too much to do, as the settings want it. */
#pragma once

#include "bulkhead/overload/admission.h"
#include "bulkhead/overload/breaker.h"
#include "bulkhead/runtime/database_breakers.h"
#include "bulkhead/runtime/redis_breaker.h"
#include "settings.h"

/* Without names: for every dependency's breaker. */
void tome_overload_breaker_options(const struct tome_settings *settings,
                                   struct bh_breaker_options *ret_options);

/* Those of the database, or none (*ret_breakers is NULL then) where BREAKERS_ENABLED is off. */
int tome_overload_database_breakers(const struct tome_settings *settings,
                                    struct bh_database_breakers **ret_breakers,
                                    struct bh_error *reterr) BH_MUST_CHECK;

/* Redis', or none as above. */
int tome_overload_redis_breaker(const struct tome_settings *settings,
                                struct bh_redis_breaker **ret_breaker,
                                struct bh_error *reterr) BH_MUST_CHECK;

/* Admission to the classes of routes.c, or none (*ret_admission is NULL then) where
 * ADMISSION_ENABLED is off. */
int tome_overload_admission(const struct tome_settings *settings,
                            struct bh_admission **ret_admission,
                            struct bh_error *reterr) BH_MUST_CHECK;
