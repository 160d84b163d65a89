/* The upper tail of a nonnegative statistic, estimated online with two floats: the probability of a
 * value as large as the newest one. Only the largest NBT_TAIL_SHARE of the values determine it, so
 * it applies to any distribution. Beyond its quantile the tail is modelled as a power law, whose
 * exponent is the inverse of the mean excess of the logarithms (Hill 1975, A simple general
 * approach to inference about the tail of a distribution). For thinner tails this overestimates the
 * probability.
 *
 * With x = log(value + 1e-9), n the values before and A = NBT_TAIL_SHARE,
 *     surprise = -log10 P(value or more) = (-log A + (x - q) / max(m, .15)) / log 10  x > q, else 0
 *     m <- m + max(1 / (A (n + 1) + 1), .02) (min(x - q, 2 m) - m)                    x > q
 *     q <- q + clamp(20 / (n + 1), .01, 1) ([x > q] - A)
 * where both rates are multiplied by `pace`. The first value sets q = x, m = .5. This file works on
 * plain numbers, not on a learner. */
#ifndef NBT_TAIL_H
#define NBT_TAIL_H

#include "nbt_simd.h"

#define NBT_TAIL_SHARE 0.02f

typedef struct nbt_tail {
    float *quantile; /* q */
    float *excess;   /* m */
} nbt_tail;

/* Returns the surprise of a value, and counts it as number n + 1. n >= 0, 0 < pace <= 1. */
NBT_LOCAL float nbt_tail_count(const nbt_tail *self, float value, float n, float pace);

#endif
