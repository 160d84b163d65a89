/* Prediction intervals of one output, and a predictive distribution: how far the truth may be from
 * a forecast. No distribution is assumed of the errors: the bounds are quantiles that follow what
 * was outside (Gibbs and Candes 2021, Adaptive conformal inference under distribution shift;
 * Angelopoulos, Candes and Tibshirani 2023, Conformal PID control for time series prediction).
 *
 * With e = truth - forecast and n the labels so far,
 *     m_fast <- m_fast + max(1 / n, .05)  (min(|e|, 8 m_fast) - m_fast)
 *     m_slow <- m_slow + max(1 / n, .005) (min(|e|, 8 m_slow) - m_slow)
 *     s       = sqrt(pi / 2) (m_fast + m_slow) / 2 * (1 + 2 / (n + 1))     1 while n = 0
 * A forecast p takes its bounds along until its label comes:
 *     lower_l = p - s c_l-, upper_l = p + s c_l+                           level l, c > 0
 * and then, after 20 labels, each side moves by whether the truth was beyond the bound that was
 * given, whose share shall be a = (1 - level) / 2:
 *     c <- c (1 + eta ([beyond] - a)),  eta = max(.3 / (n - 20), .02)
 * The log of c is bounded, so over T labels the share beyond is a + O(1 / (eta T)), whatever the
 * stream. It is from 1e-3 to 1e3 and never inside the level before. The sides are learnt each by
 * itself; the forecast is inside every interval. The first 20 errors count whole in m.
 *
 * Student: for each of a few degrees of freedom nu the scale s exp(k_nu), where k_nu takes natural
 * gradient steps on the log likelihood, and what it scored lately; the best one is the answer. With
 * u = e / (s exp(k_nu)), s that of the forecast,
 *     k_nu <- k_nu + max(.5 / n', .005) ((nu + 1) u^2 / (nu + u^2) - 1) (nu + 3) / (2 nu)
 *     score_nu <- score_nu + .005 (log t_nu(u) - log of its scale - score_nu)
 * with n' = n - 20 and the first rate at most .2. Plain numbers; no learner. */
#ifndef NBT_INTERVAL_H
#define NBT_INTERVAL_H

#include <stddef.h>

#include "nbt_simd.h"

enum { NBT_STUDENTS = 4 }; /* degrees of freedom that are tried */

typedef struct nbt_interval_state {
    float *fast;        /* m_fast */
    float *slow;        /* m_slow */
    float *labels;      /* n */
    float *reach;       /* (L, 2) c of the lower and the upper side */
    float *student;     /* (NBT_STUDENTS, 2) k and score */
    const float *level; /* (L) ascending */
    size_t L;
} nbt_interval_state;

/* Bounds as of errors with slightly heavier tails than a normal distribution; nothing learnt. */
NBT_LOCAL void nbt_interval_init(const nbt_interval_state *self);

/* s of a forecast that is made now. */
NBT_LOCAL float nbt_interval_scale(const nbt_interval_state *self);

/* bounds (L, 2) of a forecast with the scale s. */
NBT_LOCAL void nbt_interval_bounds(const nbt_interval_state *self, float forecast, float scale,
                                   float *bounds);

/* Learns the truth of a forecast that had the scale s, 0 for none, and bounds (L, 2). */
NBT_LOCAL void nbt_interval_learn(const nbt_interval_state *self, float truth, float forecast,
                                  float scale, const float *bounds);

/* What was learnt of the errors may not hold any more: half as wide again at once, and the next
 * labels count for as much as the first ones did. */
NBT_LOCAL void nbt_interval_widen(const nbt_interval_state *self);

/* The values of the output are now y' = a y + b. */
NBT_LOCAL void nbt_interval_rescale(const nbt_interval_state *self, float a);

/* Scale, in the output's units, and degrees of freedom of Student's distribution of the truth
 * around a forecast with the scale s. */
NBT_LOCAL float nbt_interval_student(const nbt_interval_state *self, float scale, float *freedom);

#endif
