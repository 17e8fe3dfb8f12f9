#include "library/score.h"

#include <math.h>

#define LENGTH_STEPS 16.0 /* for each doubling */

uint8_t tome_score_length_code(const uint32_t words)
{
    const double code = round(LENGTH_STEPS * log2((double)words + 1.0));
    return code < UINT8_MAX ? (uint8_t)code : UINT8_MAX;
}

double tome_score_length(const uint8_t code)
{
    return exp2((double)code / LENGTH_STEPS) - 1.0;
}

void tome_score_length_factors(const double average_length, float ret_factors[256])
{
    for (unsigned code = 0; code < 256; code++) {
        const double relative = tome_score_length((uint8_t)code) / average_length;
        ret_factors[code] = (float)(1.0 / (1.0 - TOME_SCORE_B + TOME_SCORE_B * relative));
    }
}

double tome_score_weight(const int64_t count, const int64_t total)
{
    const double with = (double)count, all = (double)(total > count ? total : count);
    return log1p((all - with + 0.5) / (with + 0.5));
}
