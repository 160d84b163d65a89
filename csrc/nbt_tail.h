/* The upper tail of a statistic that is never negative, followed online in two floats: how unusual
 * a value of it is in this stream. Only the largest NBT_TAIL_SHARE of the values shape it, so it
 * holds for any distribution; beyond them the tail is taken as a power law with the mean excess of
 * the logarithms as its exponent (Hill 1975, A simple general approach to inference about the tail
 * of a distribution), which is on the safe side of thinner tails.
 *
 * With x = log(value + 1e-9), n the values before and A = NBT_TAIL_SHARE,
 *     surprise = -log10 P(value or more) = (-log A + (x - q) / max(m, .15)) / log 10   x > q, else 0
 *     m <- m + max(1 / (A (n + 1) + 1), .02) (min(x - q, 2 m) - m)                     x > q
 *     q <- q + clamp(20 / (n + 1), .01, 1) ([x > q] - A)
 * where both rates are multiplied by `pace`. The first value sets q = x, m = .5. Plain numbers; no
 * learner. */
#ifndef NBT_TAIL_H
#define NBT_TAIL_H

#include "nbt_simd.h"

#define NBT_TAIL_SHARE 0.02f

typedef struct nbt_tail {
    float *quantile; /* q */
    float *excess;   /* m */
} nbt_tail;

/* The surprise of a value, which is then counted as number n + 1. n at least 0, pace in (0, 1]. */
NBT_LOCAL float nbt_tail_count(const nbt_tail *self, float value, float n, float pace);

#endif
