/* Passes over the matrices of a cell whose gates see only their own unit (docs/design.md, section
 * 3): traces inside each unit are then the exact derivative.
 *
 *     u_i = [h_i; x; 1]   a_r = theta_r u_i for the rows r of unit i   g_r <- d_i g_r + e_r u_i
 *
 * Storage: a row for every unit, with the D = I + 2 columns of its gates one after the other, in
 * the blocks of nbt_matrices.h. So all of a unit lies in one lane. A row of Theta to callers and in
 * checkpoints is still that of one gate (nbt_layout_index).
 *
 * u is [h; x; 1] (Z) throughout. Resonators, the last units of a layer, are in nbt_resonator.h and
 * in blocks of their own. */
#ifndef NBT_COLUMNS_H
#define NBT_COLUMNS_H

#include "nbt_layout.h"

/* a (R) = Theta u. Cost: R D. */
NBT_LOCAL void nbt_columns_forward(const nbt_layout *l, float *a, const float *u);

/* Theta and P after the step of a label. Cost: R D. */
NBT_LOCAL void nbt_columns_change(const nbt_layout *l, const nbt_update *update);

/* The traces after a step from l->u with the gains and the carry of the cell, and sum P g g
 * of each unit to g_square. Cost: R D. */
NBT_LOCAL void nbt_columns_advance(const nbt_layout *l);

#endif
