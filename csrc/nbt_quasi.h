/* The quasi-diagonal metric: the recurrent block of the filter with the bias column kept exactly
 * (Ollivier 2015, Riemannian metrics for neural networks I, arXiv 1303.0818).
 *
 * The information matrix of a row is M <- (1 - gamma) M + gamma (H^T Lambda H + delta I). Its
 * entries M00, M0i and Mii are kept, where index 0 is the bias (the last column). They are stored
 * as
 *     c_i = M0i / M00   (coupling; 0 for the bias)
 *     P_i = 1 / (Mii - c_i^2 M00),   P_0 = 1 / M00          (cov)
 * With x~ = x - c x_0 the metric is a^T Q b = sum P a~ b~, and the step along g is
 *     dW_i = P_i g~_i,   db = P_0 g_0 - sum_i c_i dW_i.
 *
 * In exact arithmetic the update below equals that of M. It is written in c and P because the
 * difference Mii - c_i^2 M00 loses its digits, and its sign, if the slopes of bias and weight are
 * almost equal. Here only squares are added to 1/P_i:
 *     c_i'    = c_i + P_0' (gamma h_0^T h~_i - gamma delta c_i)
 *     1/P_i'  = (1 - gamma) (1/P_i + (c_i' - c_i)^2 / P_0)
 *               + gamma (|h_i - c_i' h_0|^2 + delta (1 + c_i'^2))
 * with h_i (O) the whitened slopes, F^T H_:i. So P > 0 by construction and P_i (1 + c_i^2) <=
 * 1/delta, which is the bound that the overflow check uses: |db|^2 <= (D / delta) g^T Q g. */
#ifndef NBT_QUASI_H
#define NBT_QUASI_H

#include "nbt_matrices.h"

/* nbt_sweep under this metric. */
NBT_LOCAL void nbt_quasi_sweep(const nbt_matrices *m, const nbt_change *change,
                               const nbt_look *look);

#endif
