/*
 * Ranking: BM25F with a bonus for words that stand close together. Pure arithmetic, no state; the formula and its
 * constants are explained in README.md and measured in docs/decisions.
 */
#pragma once

#include <stdint.h>

/* A chunk's length in words as one byte: steps of about 4.4%, up to 65,535 words. */
uint8_t tome_score_length_code(uint32_t words);
double tome_score_length(uint8_t code);
