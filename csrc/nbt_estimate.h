/* One step of the learning state together with the estimate of its derivative. */
#ifndef NBT_ESTIMATE_H
#define NBT_ESTIMATE_H

#include "nbt_layout.h"
#include "nbt_sweep.h"

/* Clears v, w, g, what is remembered of their norms, and the exact derivative. */
void nbt_estimate_clear(const nbt_layout *l);

/* u = [h; x; 1] of the oldest waiting input; advances the learning state and v. Returns how w and g
 * will move; l->w_square, l->g_square and l->g_cross hold sums of P w w, P g g and P g w as they will
 * be then. */
nbt_motion nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l);

/* 0 if a number of the estimate left its bounds or is NaN. */
int nbt_estimate_is_bounded(const nbt_layout *l);

#endif
