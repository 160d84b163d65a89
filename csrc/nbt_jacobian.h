/* The products with the Jacobian J = ds(t)/ds(t-1) of a step that the estimators need. They are
 * computed from the gains and the carry, which nbt_cell.h stores in the layout:
 *     J_ki = carry_k [k and i of one unit] + sum over rows r of the unit of k: gain_k,r theta_h,ri
 * Given the row sums of theta_h, J v costs O(R). Only unitwise and rtrl store J itself. */
#ifndef NBT_JACOBIAN_H
#define NBT_JACOBIAN_H

#include "nbt_layout.h"

/* out (parts * H) = J v, where memory (H) is the last part of v, and l->da (R) = theta_h v_h. out
 * may be v. */
NBT_LOCAL void nbt_jacobian_push(const nbt_layout *l, float *out, const float *memory);

/* g_keep (H): d_i = clamp(J_ii, -1, 1), the decay of the traces inside a unit. Overwrites
 * nbt_scratch. Only for cells with one part. */
NBT_LOCAL void nbt_jacobian_keep(const nbt_layout *l);

/* Norm of column k of J without J_kk: how strongly unit k affects the other units. As above. */
NBT_LOCAL float nbt_jacobian_leaving(const nbt_layout *l, size_t k);

/* NBT_OF(l, jacobian) (H, H) = J transposed: entry [i][k] is J_ki. As above. Cost: R H
 * multiply-adds. */
NBT_LOCAL void nbt_jacobian_transposed(const nbt_layout *l);

#endif
