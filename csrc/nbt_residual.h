/* residual: own-unit traces, and one random rank-one estimate of what they leave out
 * (docs/design.md, section 3), after NoBackTrack (Ollivier, Tallec, Charpiat 2015, arXiv
 * 1507.07680).
 *
 * Keeps g (nbt_traces.h), v (S) and w (R, D) with E[v w^T] + diag(g) = ds/dtheta at decay 1. The
 * array balance keeps ||w||^2, ||g_i||^2 and kappa_i of the previous step, where kappa_i is the
 * norm of column i of J without J_ii; one kappa_i per step is recomputed. A step draws a sign for
 * every unit i:
 *     y_i  = sign_i sqrt(||g_i|| / kappa_i),   rho0 = sqrt(||w|| / ||v||)
 *     v   <- decay (J (rho0 v + y) - d y)
 *     w_r <- w_r / rho0 + g_r / y_unit(r)              with the old g
 * rho0 v + y is the tangent. It is computed before the step, since the row sums need it. */
#ifndef NBT_RESIDUAL_H
#define NBT_RESIDUAL_H

#include "nbt_layout.h"

/* nbt_estimate.h describes these functions. */
NBT_LOCAL void nbt_residual_clear(const nbt_layout *l);
NBT_LOCAL void nbt_residual_advance(nbt_learner *learner, const nbt_layout *l);
NBT_LOCAL int nbt_residual_is_bounded(const nbt_layout *l);

/* Called before the sums of a step: computes the tangent, and g_scale (H) = 1 / y. Returns w_scale
 * = 1 / rho0. The signs are those that the step itself will draw; the generator advances only in
 * the step. */
NBT_LOCAL float nbt_residual_look(const nbt_learner *learner, const nbt_layout *l, float *g_scale);

#endif
