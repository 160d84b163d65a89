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

/* Inner products of w_i and g_i in the metric, before the move. */
typedef struct nbt_unit_sums {
    float ww;
    float wg;
    float gg;
} nbt_unit_sums;

/* w_i <- w w_i + g g_i. */
typedef struct nbt_unit_mix {
    float w;
    float g;
} nbt_unit_mix;

/* One step of unit i: v (H) is v_i, jt (H, H) the transposed Jacobian, keep what the traces keep of
 * J_ii, sign the random sign, pushed (H) scratch. Cost: H^2 + O(H). */
nbt_unit_mix nbt_unitwise_turn(float *v, float *pushed, const float *jt, const nbt_unit_sums *sums,
                               float keep, float decay, float sign, size_t i, size_t H);

#endif
