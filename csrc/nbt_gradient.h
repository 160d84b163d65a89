/* The derivatives (slopes) of the outputs with respect to the recurrent parameters, as a few
 * directions:
 *     H_(r, j) = V_unit(r) g_rj + alpha_n w_rj,   n = 0 or unit(r),   alpha_n = V_h v_n
 * Steps and curvatures of all parameters thus follow from one scalar per direction (nbt_update).
 * Under kalman, alpha (N, O) and V_h (white, H by O) are whitened by F^T. rtrl stores all slopes
 * explicitly. */
#ifndef NBT_GRADIENT_H
#define NBT_GRADIENT_H

#include "nbt_layout.h"

/* Whether loops over units have their own code. They do not help with a single direction for all
 * units and without lanes. */
#define NBT_UNIT_LOOPS (NBT_LANES > 1 || NBT_BUILDS_G)

/* Computes alpha and white from V, v and the factor of the link; for rtrl the slopes and the sum of
 * their squares. */
NBT_LOCAL void nbt_gradient_directions(const nbt_layout *l);

/* Computes the recurrent steps along the directions: `gain` times their product with the
 * innovation. For rtrl, the steps are along the slopes of every output, and step_w is their common
 * size. */
NBT_LOCAL void nbt_gradient_step(const nbt_layout *l, float gain);

/* Computes gamma H^T Lambda H as a sum of squares, curvature_w (w + tilt g)^2 + curvature_g g^2;
 * for rtrl as curvature_w times the squared slopes. */
NBT_LOCAL void nbt_gradient_curvature(const nbt_layout *l, nbt_update *update);

#endif
