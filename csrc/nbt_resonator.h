/* Resonators: units of a columnar layer that are complex and linear (docs/design.md, section 3).
 *
 *     s = p + i q    lambda = rho e^(i omega)    rho = exp(-exp nu)    n = sqrt(1 - rho^2)
 *     a = w_a [x; 1]    b = w_b [x; 1]           s <- lambda s + n (a + i b)
 *
 * A unit has the two rows [nu, w_a] and [omega, w_b] of Theta. It is stored as other columns are
 * (nbt_columns.h). The derivatives of s are complex traces:
 *
 *     G_j     <- lambda G_j + n [x; 1]_j              ds/dw_a = G, ds/dw_b = i G
 *     G_nu    <- lambda G_nu - e^nu lambda s + rho^2 e^nu / n (a + i b)
 *     G_omega <- lambda G_omega + i lambda s
 *
 * Rows of g: [Re G_nu, Re G] and [Im G_nu, Im G]; angle_traces has G_omega. The C resonators are
 * the last of the H units; a state is [h (H - C); p (C); q (C)].
 *
 * Sources: linear recurrent units (Orvieto et al. 2023), recurrent trace units (Elelimy et al.
 * 2024). */
#ifndef NBT_RESONATOR_H
#define NBT_RESONATOR_H

#include "nbt_layout.h"

/* Time constants of 0.4 to 1,100 steps: poles stay inside the unit circle. */
#define NBT_NU_MIN (-7.0f)
#define NBT_NU_MAX 1.0f

/* a (R) = Theta u without nu and omega, for resonators only. Cost: C I. */
NBT_LOCAL void nbt_resonator_forward(const nbt_layout *l, float *a, const float *u);

/* Computes p and q of a state after a step with the pre-activations a (R). carry (S), if not NULL,
 * receives Re lambda and Im lambda at the indices of p and q. Cost: C. */
NBT_LOCAL void nbt_resonator_step(const nbt_layout *l, const float *a, float *state, float *carry);

/* Advances the traces after that step, from l->u, l->act and l->carry. Writes sum P g_p^2 and sum P
 * g_q^2 of each unit to g_square, and sum P g_p g_q to pq_square. Cost: C I. */
NBT_LOCAL void nbt_resonator_advance(const nbt_layout *l);

/* Changes Theta and P with the step of a label. Cost: C I. */
NBT_LOCAL void nbt_resonator_change(const nbt_layout *l, const nbt_update *update);

#endif
