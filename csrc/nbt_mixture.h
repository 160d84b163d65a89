/* The mixture of K forecasts of one output. The weights follow from Bernstein online aggregation
 * (Wintenberger 2017, Optimal learning with Bernstein online aggregation) with discounting and one
 * rate for all forecasts.
 *
 * With the answer m, the forecasts p_k, the label l and the running mean r of the answers' squared
 * errors,
 *     r   <- r + max(.002, 1 / n) (min((l - m)^2, 64 r) - r)
 *     (r is at least 1e-11; there an error counts whole, and the weights stay)
 *     q    = sqrt(r)
 *     g_k  = -2 clamp((l - m) / q, 8) (p_k - m) / q, clamped to 50      slope of the loss at m
 *     V_k <- forget V_k + g_k^2
 *     eta  = sqrt(1 / max_k V_k)
 *     R_k <- forget R_k - (g_k + eta g_k^2)                             regret
 *     w    = .999 softmax(eta R) + .001 / K
 * All quantities are relative to r, so the weights do not depend on units. This file works on plain
 * numbers, not on a learner. */
#ifndef NBT_MIXTURE_H
#define NBT_MIXTURE_H

#include <stddef.h>

#include "nbt_simd.h"

typedef struct nbt_mixture {
    float *weight; /* (K) */
    float *regret; /* (K) R */
    float *spread; /* (K) V */
    float *error;  /* r */
    float *labels; /* n */
    size_t K;
} nbt_mixture;

/* Sets equal weights; clears all that was learnt. */
NBT_LOCAL void nbt_mixture_init(const nbt_mixture *self);

/* sum_k w_k p_k. */
NBT_LOCAL float nbt_mixture_answer(const nbt_mixture *self, const float *p);

/* Learns from the label of the forecasts p (K) and of the answer; all are finite. */
NBT_LOCAL void nbt_mixture_learn(const nbt_mixture *self, const float *p, float answer, float label,
                                 float forget);

#endif
