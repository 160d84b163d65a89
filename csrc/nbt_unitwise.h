/* unitwise: traces inside each unit, and for every unit a rank-one estimate of the rest of its
 * derivative (docs/design.md, section 3).
 *
 * Keeps g (nbt_traces.h), v (H, H) with v_i in row i, and w (R, D), w_i in the rows of unit i: the
 * derivative of all states with respect to the parameters of unit i is e_i g_i^T + v_i w_i^T, e_i
 * the i-th unit vector. After one step, the derivative is the new traces plus
 *     X = a w_i^T + b g_i^T,   a = decay J v_i,   b = column i of J without what the traces keep,
 * which has rank two. X = sigma1 l1 r1^T + sigma2 l2 r2^T is its singular value decomposition, the
 * right vectors measured in the filter's metric, and
 *     v_i <- sqrt(sigma1) l1 + sign sqrt(sigma2) l2,   w_i <- sqrt(sigma1) r1 + sign sqrt(sigma2)
 *     r2
 * has mean X and the least variance of all random rank-one matrices with that mean (Benzing et al.
 * 2019, arXiv 1902.03993). All factors follow from inner products; w_i itself changes in the sweep.
 * Cost of a step in addition to the sweep: H^3 + O(H^2). */
#ifndef NBT_UNITWISE_H
#define NBT_UNITWISE_H

#include "nbt_layout.h"

/* nbt_estimate.h describes these functions. */
NBT_LOCAL void nbt_unitwise_clear(const nbt_layout *l);
NBT_LOCAL void nbt_unitwise_advance(nbt_learner *learner, const nbt_layout *l);
NBT_LOCAL int nbt_unitwise_is_bounded(const nbt_layout *l);

#endif
