/* Passes over the R x D matrices (nbt_matrices.h), the only loops whose cost grows with the
 * parameters.
 *
 * The change of one step and the sums of the next one are made in the same pass, so every parameter
 * is read and written once per step. */
#ifndef NBT_SWEEP_H
#define NBT_SWEEP_H

#include "nbt_matrices.h"

/* a (R) = theta u. */
NBT_LOCAL void nbt_sweep_forward(const nbt_matrices *m, float *a, const float *u);

/* out (R) = theta_r,col of every row r. With col == D, theta_r,unit(r), the weight on the row's own
 * unit. */
NBT_LOCAL void nbt_sweep_column(const nbt_matrices *m, float *out, size_t col);

/* jt (H, H) += sum over rows r of gain_r theta_h,r: entry [l][k] is the part of J_kl that goes
 * through the pre-activations of unit k. */
NBT_LOCAL void nbt_sweep_jacobian(const nbt_matrices *m, float *jt, const float *gain);

/* sum of w w over all parameters, row by row. */
NBT_LOCAL float nbt_sweep_square(const nbt_matrices *m);

/* Makes the change, then computes the sums of the changed matrices; either may be NULL. The sums
 * may overwrite the row vectors of the motion: a block reads its own before it writes. */
NBT_LOCAL void nbt_sweep(const nbt_matrices *m, const nbt_change *change, const nbt_look *look);

#endif
