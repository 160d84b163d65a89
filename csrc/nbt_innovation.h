/* The innovation covariance that both blocks of the Kalman filter share, in whitened units:
 *     S = I + F^T (c diag(scale) + gain sum_i P_i H_:i H_:i^T) F,   c = f^T C f
 * (docs/design.md, section 3). The terms are the noise, the uncertainty of the readout
 * (nbt_link.h), and that of the recurrent parameters along the directions of nbt_gradient.h. */
#ifndef NBT_INNOVATION_H
#define NBT_INNOVATION_H

#include "nbt_layout.h"

/* l->chol = S: its packed lower triangle (O (O + 1) / 2). If the outputs are independent and there
 * is one direction a, the s of S = diag(s) + strength a a^T instead. */
NBT_LOCAL void nbt_innovation_spread(const nbt_layout *l, float c, float gain);

/* S_oo of this S. */
NBT_LOCAL float nbt_innovation_variance(const nbt_layout *l, float gain, size_t o);

/* The innovation <- S^-1 innovation, by Cholesky in place (O^3 / 6), or along the one direction
 * (Sherman and Morrison 1950; 8 O). S is overwritten. */
NBT_LOCAL void nbt_innovation_solve(const nbt_layout *l, float gain);

#endif
