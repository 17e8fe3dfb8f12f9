/*
 * Ranking: BM25F over a chunk's text, its chapter's heading, and its book's title and author. Pure
 * arithmetic; the formula stands in README.md, the constants were measured (docs/decisions).
 */
#pragma once

#include <stdint.h>

#define TOME_SCORE_K1 1.2
#define TOME_SCORE_B 0.75
#define TOME_SCORE_HEADING 0.5
#define TOME_SCORE_TITLE 1.0
#define TOME_SCORE_AUTHOR 0.5
#define TOME_SCORE_OTHER_FORM 0.75 /* of an occurrence: another form of the word than was typed */
#define TOME_SCORE_NEAR 0.25       /* of the lesser weight: two words side by side */
#define TOME_SCORE_REVERSED 0.5    /* of that: in the other order */
#define TOME_SCORE_NEAR_WORDS 8    /* farther apart is not near */

/* A chunk's length in words as one byte: steps of about 4.4%, up to 65,535 words. */
uint8_t tome_score_length_code(uint32_t words);
double tome_score_length(uint8_t code);

/* By what a word's occurrences count in a chunk of each length: 1 in one of average length, less in
 * longer ones. */
void tome_score_length_factors(double average_length, float ret_factors[256]);

/* How telling a word is that `count` of `total` chunks hold. */
double tome_score_weight(int64_t count, int64_t total);

/* What a word's (adjusted) frequency is worth: 0 to k1 + 1, rising ever more slowly. */
static inline double tome_score_saturate(const double frequency)
{
    return frequency * (TOME_SCORE_K1 + 1.0) / (frequency + TOME_SCORE_K1);
}
