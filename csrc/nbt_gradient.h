/* The slopes of the outputs along the recurrent parameters, as few directions:
 *     H_(r, j) = V_unit(r) g_rj + alpha_n w_rj,   n = 0 or unit(r),   alpha_n = V_h v_n
 * so that steps and curvatures of all parameters follow from one scalar per direction (nbt_update).
 * Under kalman alpha (N, O) and V_h (white, H by O) are whitened by F^T. rtrl has all slopes
 * themselves. */
#ifndef NBT_GRADIENT_H
#define NBT_GRADIENT_H

#include "nbt_layout.h"

/* Loops over units are worth their own code unless there is one direction for all and no lane. */
#define NBT_UNIT_LOOPS (NBT_LANES > 1 || NBT_BUILDS_G)

/* alpha and white from V, v and the factor of the link; rtrl: the slopes and the sum of their
 * squares. */
NBT_LOCAL void nbt_gradient_directions(const nbt_layout *l);

/* The recurrent steps along them, `gain` times their product with the innovation; rtrl: along every
 * output's slopes, and step_w is their common size. */
NBT_LOCAL void nbt_gradient_step(const nbt_layout *l, float gain);

/* gamma H^T Lambda H as a sum of squares, curvature_w (w + tilt g)^2 + curvature_g g^2; rtrl:
 * curvature_w times the squared slopes. */
NBT_LOCAL void nbt_gradient_curvature(const nbt_layout *l, nbt_update *update);

#endif
