/* NoBackTrack: the rank-one random estimate v w^T of the derivative of the state with respect to
 * the recurrent parameters (Ollivier, Tallec, Charpiat 2015, arXiv 1507.07680; docs/design.md 3). */
#ifndef NBT_TANGENT_H
#define NBT_TANGENT_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_sweep.h"

/* Derivatives of the step, from nbt_cell_linearise. */
typedef struct nbt_jacobian {
    const float *gain[2]; /* (R) of each part */
    const float *carry;   /* (parts * H) */
    size_t hidden;
    size_t rows;
    size_t parts;
} nbt_jacobian;

/* v (parts * H) <- J v, in place; da (R) = theta_h v_h. */
void nbt_tangent_push(const nbt_jacobian *jacobian, float *v, const float *da);

/* Adds the step's own derivative along random signs:
 *     rho0 = sqrt(||w|| / ||v||),  rho_r = sqrt(||u||_r / ||e_r||)
 *     v <- decay rho0 v + sum_r sign_r rho_r e_r,   w_r <- w_r / rho0 + (sign_r / rho_r) u.
 * u_scale (R): holds the signs, receives sign_r / rho_r. ||u||_r^2 = uu[r * uu_stride]: stride 0
 * for a norm that all rows share. w_norm: ||w||.
 * Returns 1 / rho0; w itself is updated by the sweep. */
float nbt_tangent_add(const nbt_jacobian *jacobian, float *v, float *u_scale, const float *uu,
                      size_t uu_stride, float w_norm, float decay);

#endif
