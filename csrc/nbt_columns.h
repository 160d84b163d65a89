/* Passes over the matrices of a cell whose gates see only their own unit (docs/design.md, section
 * 3): traces inside each unit are then the exact derivative.
 *
 *     u_i = [h_i; x; 1]   a_r = theta_r u_i for the rows r of unit i   g_r <- d_i g_r + e_r u_i
 *
 * Storage: one row per unit in the blocks of nbt_matrices.h, with the D = I + 2 columns of each
 * gate one after the other. All weights of a unit thus lie in one lane. For callers and in
 * checkpoints, a row of Theta is that of one gate (nbt_layout_index).
 *
 * u is [h; x; 1] (Z) in all functions. Resonators, the last units of a layer, have their own blocks
 * (nbt_resonator.h). */
#ifndef NBT_COLUMNS_H
#define NBT_COLUMNS_H

#include "nbt_layout.h"

/* a (R) = Theta u. Cost: R D. */
NBT_LOCAL void nbt_columns_forward(const nbt_layout *l, float *a, const float *u);

/* Changes Theta and P with the step of a label. Cost: R D. */
NBT_LOCAL void nbt_columns_change(const nbt_layout *l, const nbt_update *update);

/* Advances the traces after a step from l->u, with the gains and the carry of the cell. Writes sum
 * P g g of each unit to g_square. Cost: R D. */
NBT_LOCAL void nbt_columns_advance(const nbt_layout *l);

#endif
