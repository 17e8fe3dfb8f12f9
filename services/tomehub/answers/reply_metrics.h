/* Counting answers. Any thread. */
#pragma once

#include "answers/reply.h"

/* `result`: of the call that made it. */
void tome_reply_count(const struct tome_reply *reply, int result);
