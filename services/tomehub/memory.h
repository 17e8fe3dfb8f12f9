/* The memory monitor as the settings want it, with TomeHub's own steps of the ladder. */
#pragma once

#include "bulkhead/runtime/memory.h"
#include "service.h"

/* The service's parts that the steps act upon must exist already, and outlive the monitor. */
int tome_memory_create(struct tome_service *service, struct bh_memory **ret_memory,
                       struct bh_error *reterr) BH_MUST_CHECK;
