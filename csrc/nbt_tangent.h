/* Estimates of the derivative of the state with respect to the recurrent parameters, in memory of
 * the order of the parameters (docs/design.md, section 3).
 *
 * nobacktrack: the rank-one random estimate v w^T (Ollivier, Tallec, Charpiat 2015, arXiv
 * 1507.07680). snap1: the traces g of each unit's own state (Menick et al. 2021, arXiv 2006.07232).
 * residual: the traces, and v w^T for what they leave out. */
#ifndef NBT_TANGENT_H
#define NBT_TANGENT_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_matrices.h"

/* Derivatives of the step, from nbt_cell_linearise. */
typedef struct nbt_jacobian {
    const float *gain[2]; /* (R) of each part */
    const float *carry;   /* (parts * H) */
    size_t hidden;
    size_t rows;
    size_t parts;
} nbt_jacobian;

/* out (parts * H) = J v; memory (H) is the last part of v; da (R) = theta_h v_h. out may be v. */
NBT_LOCAL void nbt_tangent_push(const nbt_jacobian *jacobian, float *out, const float *memory,
                                const float *da);

/* nobacktrack adds the step's own derivative along random signs:
 *     rho0 = sqrt(||w|| / ||v||),  rho_r = sqrt(||u||_r / ||e_r||)
 *     v <- decay rho0 v + sum_r sign_r rho_r e_r,   w_r <- w_r / rho0 + (sign_r / rho_r) u.
 * u_scale (R): holds the signs, receives sign_r / rho_r. ||u||_r^2 = uu[r * uu_stride]: stride 0
 * for a norm that all rows share. w_norm: ||w||. scratch (H).
 * Returns 1 / rho0; w itself is updated by the sweep. */
NBT_LOCAL float nbt_tangent_add(const nbt_jacobian *jacobian, float *v, float *u_scale,
                                float *scratch, const float *uu, size_t uu_stride, float w_norm,
                                float decay);

/* residual chooses where the traces g enter the rank-one part:
 *     y_i = sign_i sqrt(||g_i|| / kappa_i),   tangent = rho0 v + y,   w <- w / rho0 + g / y.
 * balance (1 + 2H): ||w||^2, ||g_i||^2, kappa_i; g_scale (H): holds the signs, receives 1 / y.
 * Returns 1 / rho0. */
NBT_LOCAL float nbt_residual_aim(float *tangent, float *g_scale, const float *balance,
                                 const float *v, size_t H);

/* g_keep (H): d_i = clamp(J_ii, -1, 1), what the traces keep. scratch (R). */
NBT_LOCAL void nbt_residual_keep(const nbt_jacobian *jacobian, const nbt_matrices *m, float *g_keep,
                                 float *scratch);

/* v <- decay (J tangent - d y), J tangent in v on entry. */
NBT_LOCAL void nbt_residual_rest(float *v, const float *g_keep, const float *g_scale, float decay,
                                 size_t H);

/* Norm of column k of J without J_kk: how much of unit k's derivative leaves the unit.
 * scratch (R + H). */
NBT_LOCAL float nbt_residual_column(const nbt_jacobian *jacobian, const nbt_matrices *m, size_t k,
                                    float *scratch);

#endif
