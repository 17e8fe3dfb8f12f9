/* Counting requests to other servers. Any thread. */
#pragma once

#include <stdint.h>

void bh_client_metrics_begin(void);
/* `result`: 0, or why there is no answer. */
void bh_client_metrics_answered(int result, uint64_t duration_us);
void bh_client_metrics_end(void);
