/* The parts of the service whose health is asked for. */
#pragma once

#include "service.h"

/* `service` and `data_path` (a path on the disk that must not fill up) are borrowed for the
 * registry's life. */
void tome_health_add_checks(struct bh_health *health, struct tome_service *service,
                            const char *data_path);
