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
