/* The exact derivative of the state, computed forward in time (real-time recurrent learning,
 * Williams and Zipser 1989). The other estimators approximate it. It is for hosts and small
 * networks.
 *
 *     G(t) = J_t G(t-1) + sum_r e_r (x) u                          (S, R, D)
 *
 * The gradient of every output, H_o = sum_k V_ok G_k (R, D), is used in the same filter. Matrices
 * are row-major here; only theta and its metric are in the blocks of nbt_sweep, so the results do
 * not depend on NBT_LANES. In a build without rtrl this file is empty, and NBT_IS_EXACT, which
 * callers test, is the constant 0. */
#ifndef NBT_RTRL_H
#define NBT_RTRL_H

#include "nbt_layout.h"
#include "nbt_matrices.h"

#define NBT_IS_EXACT(l) (NBT_HAS_RTRL && NBT_OF(l, exact) != NULL)

/* A function that is never called must not be static either: compilers warn about the missing
 * definition. */
#if NBT_HAS_RTRL
#define NBT_RTRL_LOCAL NBT_LOCAL
#else
#define NBT_RTRL_LOCAL
#endif

/* nbt_estimate.h describes these functions. Cost of advance: S (H + 1) R D multiply-adds. */
NBT_RTRL_LOCAL void nbt_rtrl_clear(const nbt_layout *l);
NBT_RTRL_LOCAL void nbt_rtrl_advance(const nbt_layout *l);
NBT_RTRL_LOCAL int nbt_rtrl_is_bounded(const nbt_layout *l);

/* Computes slopes from white: under kalman F^T H; with a quasi-diagonal metric the share of the
 * bias is subtracted, h - c h_0. Returns sum P h h over all slopes. Cost: O (H + 1) R D
 * multiply-adds. */
NBT_RTRL_LOCAL float nbt_rtrl_slopes(const nbt_layout *l);

/* S += gain sum_i P_i h_i h_i^T, the packed lower triangle (O (O + 1) / 2) of nbt_innovation.
 * Cost: O^2 R D / 2 multiply-adds. */
NBT_RTRL_LOCAL void nbt_rtrl_innovate(const nbt_layout *l, float *S, float gain);

/* For every parameter, with its slopes h (O) and the step a (O) of nbt_gradient.h along them:
 *     theta += P h^T a,   P <- P / (keep + (curvature_w h^T h + rate_floor) P),
 * or the step and the update of nbt_quasi.h.
 * Cost: 2 O R D multiply-adds. */
NBT_RTRL_LOCAL void nbt_rtrl_update(const nbt_layout *l, const nbt_update *update);

#endif
