/* One step of the learning state together with the estimate of its derivative. */
#ifndef NBT_ESTIMATE_H
#define NBT_ESTIMATE_H

#include "nbt_layout.h"
#include "nbt_sweep.h"

/* What the filter and the sweep need of the estimate of this step. The sums of the traces, by unit,
 * are in l->g_square and l->g_cross. */
typedef struct nbt_estimate {
    nbt_motion motion; /* how w and g will move */
    float ww;          /* sum P w w of the moved w; rtrl: sum P h h of the slopes, from the label on */
} nbt_estimate;

/* Clears v, w, g, what is remembered of their norms, and the exact derivative. */
void nbt_estimate_clear(const nbt_layout *l);

/* u = [h; x; 1] of the oldest waiting input; advances the learning state and v. */
nbt_estimate nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l);

/* 0 if a number of the estimate left its bounds or is NaN. */
int nbt_estimate_is_bounded(const nbt_layout *l, const nbt_estimate *estimate);

#endif
