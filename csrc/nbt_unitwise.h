/* unitwise: own-unit traces, and for every unit a rank-one estimate of what its traces leave out
 * (docs/design.md, section 3).
 *
 * The derivative of all states with respect to the parameters of unit i is e_i g_i^T + v_i w_i^T,
 * e_i the i-th unit vector. One step makes of it, besides the new traces,
 *     X = a w_i^T + b g_i^T,   a = decay J v_i,   b = column i of J without what the traces keep,
 * which has rank two. X = sigma1 l1 r1^T + sigma2 l2 r2^T is its singular value decomposition, the
 * right vectors measured in the filter's metric, and
 *     v_i <- sqrt(sigma1) l1 + sign sqrt(sigma2) l2,   w_i <- sqrt(sigma1) r1 + sign sqrt(sigma2) r2
 * has mean X and the least variance of all random rank-one matrices with that mean (Benzing et al.
 * 2019, arXiv 1902.03993). Everything follows from inner products; w_i itself moves in the sweep. */
#ifndef NBT_UNITWISE_H
#define NBT_UNITWISE_H

#include <stddef.h>

#include "nbt_simd.h"

/* Units that are turned together: so many roots and divisions fit a vector unit. */
#define NBT_UNITS (NBT_LANES > 1 ? 8 : 1)

/* Of every unit, (H) each. Inner products of w_i and g_i in the metric before the move; signs; what
 * the traces keep of J_ii; and, as results, w_i <- w_scale w_i + g_scale g_i. sign may be g_scale. */
typedef struct nbt_units {
    const float *ww, *wg, *gg;
    const float *sign, *keep;
    float *w_scale, *g_scale;
} nbt_units;

/* One step of all units: v (H, H) with v_i in row i, jt (H, H) the transposed Jacobian, scratch
 * (NBT_UNITS, H). Cost: H^3 + O(H^2). */
NBT_LOCAL void nbt_unitwise_turn(const nbt_units *units, float *v, const float *jt, float decay,
                                 float *scratch, size_t H);

#endif
