/* snap1: exact traces inside each unit, nothing between units (SnAp-1: Menick, Elsen, Evci,
 * Osindero, Simonyan, Graves 2021, arXiv 2006.07232). Cells with one state float per unit.
 *
 * Keeps g (R, D), the derivative of each unit's state with respect to its own rows:
 *     d_i = clamp(J_ii, -1, 1),   g_r <- d_unit(r) g_r + e_r u
 * residual and unitwise keep the same traces and estimate what they leave out. */
#ifndef NBT_TRACES_H
#define NBT_TRACES_H

#include "nbt_layout.h"

/* nbt_estimate.h describes these functions. */
NBT_LOCAL void nbt_traces_clear(const nbt_layout *l);
NBT_LOCAL void nbt_traces_advance(const nbt_layout *l);
NBT_LOCAL int nbt_traces_is_bounded(const nbt_layout *l);

/* Computes g_square and g_cross: sum P g g and sum P g w of the moved factors, unit by unit. It
 * uses the sums before the motion of g and, if there is w, after that of w. */
NBT_LOCAL void nbt_traces_sum(const nbt_layout *l);

#endif
