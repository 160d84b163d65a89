/* What a label changes: readout, noise level, and the scalars of the recurrent step. */
#ifndef NBT_CORRECT_H
#define NBT_CORRECT_H

#include "nbt_estimate.h"
#include "nbt_layout.h"
#include "nbt_sweep.h"

/* Learns l->label against the prediction l->y (scaled units) with the features l->f; fills `update`
 * for the sweep; rtrl: also estimate->ww. Returns 0 if a number left its bounds: then no parameter has changed. */
int nbt_correct(nbt_learner *learner, const nbt_layout *l, nbt_estimate *estimate,
                nbt_update *update);

#endif
