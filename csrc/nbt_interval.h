/* Prediction intervals of one output, and a predictive distribution. The intervals assume no
 * distribution of the errors: each bound is a quantile that is adjusted after every label by
 * whether the label was outside (Gibbs and Candes 2021, Adaptive conformal inference under
 * distribution shift; Angelopoulos, Candes and Tibshirani 2023, Conformal PID control for time
 * series prediction).
 *
 * The truth is the label. With e = truth - forecast and n the number of labels so far, the scale s
 * of the errors is
 *     m_fast <- m_fast + max(1 / n, .05)  (min(|e|, 8 m_fast) - m_fast)
 *     m_slow <- m_slow + max(1 / n, .005) (min(|e|, 8 m_slow) - m_slow)
 *     s       = sqrt(pi / 2) (m_fast + m_slow) / 2 * (1 + 2 / (n + 1))     1 while n = 0
 * A forecast p is stored with its bounds until its label arrives:
 *     lower_l = p - s c_l-, upper_l = p + s c_l+                           level l, c > 0
 * From label 21 on, each side is then adjusted by whether the truth was beyond its bound; the
 * target share beyond is a = (1 - level) / 2:
 *     c <- c (1 + eta ([beyond] - a)),  eta = max(.3 / (n - 20), .02)
 * c is limited to [1e-3, 1e3], so over T labels the share beyond is a + O(1 / (eta T)) for any
 * stream. An interval is never narrower than that of the next lower level. The two sides are learnt
 * separately; the forecast is inside every interval. The first 20 errors are not clipped in m.
 *
 * The predictive distribution is a Student distribution. For each of a few degrees of freedom nu,
 * its scale is s exp(k_nu), where k_nu follows natural gradient steps on the log likelihood. The nu
 * with the best recent score is used. With u = e / (s exp(k_nu)) and the s of the forecast,
 *     k_nu <- k_nu + max(.5 / n', .005) ((nu + 1) u^2 / (nu + u^2) - 1) (nu + 3) / (2 nu)
 *     score_nu <- score_nu + .005 (log t_nu(u) - log of its scale - score_nu)
 * with n' = n - 20 and the first rate at most .2. This file works on plain numbers, not on a
 * learner. */
#ifndef NBT_INTERVAL_H
#define NBT_INTERVAL_H

#include <stddef.h>

#include "nbt_simd.h"

enum { NBT_STUDENTS = 4 }; /* number of candidate degrees of freedom */

typedef struct nbt_interval_state {
    float *fast;        /* m_fast */
    float *slow;        /* m_slow */
    float *labels;      /* n */
    float *reach;       /* (L, 2) c of the lower and the upper side */
    float *student;     /* (NBT_STUDENTS, 2) k and score */
    const float *level; /* (L) ascending */
    size_t L;
} nbt_interval_state;

/* Sets the bounds for errors with slightly heavier tails than the normal distribution; clears all
 * that was learnt. */
NBT_LOCAL void nbt_interval_init(const nbt_interval_state *self);

/* The present scale s. */
NBT_LOCAL float nbt_interval_scale(const nbt_interval_state *self);

/* bounds (L, 2) of a forecast with the scale s. */
NBT_LOCAL void nbt_interval_bounds(const nbt_interval_state *self, float forecast, float scale,
                                   float *bounds);

/* Learns the truth of a forecast that was made with the scale s, 0 for none, and bounds (L, 2). */
NBT_LOCAL void nbt_interval_learn(const nbt_interval_state *self, float truth, float forecast,
                                  float scale, const float *bounds);

/* After a reset of the adaptation: widens the intervals by half, and the next labels count as much
 * as the first ones did. */
NBT_LOCAL void nbt_interval_widen(const nbt_interval_state *self);

/* The values of the output are now y' = a y + b. */
NBT_LOCAL void nbt_interval_rescale(const nbt_interval_state *self, float a);

/* Scale, in the output's units, and degrees of freedom of the Student distribution of the truth
 * around a forecast with the scale s. */
NBT_LOCAL float nbt_interval_student(const nbt_interval_state *self, float scale, float *freedom);

#endif
