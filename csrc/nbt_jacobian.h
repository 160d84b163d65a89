/* The Jacobian J = ds(t)/ds(t-1) of a step, as far as an estimator needs it, from the gains and the
 * carry that nbt_cell.h leaves in the layout:
 *     J_ki = carry_k [k and i of one unit] + sum over rows r of the unit of k: gain_k,r theta_h,ri
 * With row sums of theta_h at hand, J v costs O(R); J itself is never stored but by unitwise and
 * rtrl. */
#ifndef NBT_JACOBIAN_H
#define NBT_JACOBIAN_H

#include "nbt_layout.h"

/* out (parts * H) = J v; memory (H) is the last part of v, and l->da (R) = theta_h v_h. out may be
 * v. */
NBT_LOCAL void nbt_jacobian_push(const nbt_layout *l, float *out, const float *memory);

/* g_keep (H): d_i = clamp(J_ii, -1, 1), what own-unit traces keep. Uses nbt_scratch. Cells with one
 * part. */
NBT_LOCAL void nbt_jacobian_keep(const nbt_layout *l);

/* Norm of column k of J without J_kk: how much of unit k's derivative leaves the unit. As above. */
NBT_LOCAL float nbt_jacobian_leaving(const nbt_layout *l, size_t k);

/* NBT_OF(l, jacobian) (H, H) = J transposed: entry [i][k] is J_ki. As above. Cost: R H
 * multiply-adds. */
NBT_LOCAL void nbt_jacobian_transposed(const nbt_layout *l);

#endif
