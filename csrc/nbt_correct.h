/* What a label changes: readout, noise level, and the scalars of the recurrent step. */
#ifndef NBT_CORRECT_H
#define NBT_CORRECT_H

#include "nbt_layout.h"

/* Readout, covariances and noise levels of a learner that knows nothing. */
NBT_LOCAL void nbt_correct_init(const nbt_layout *l);

/* The same of the readout, its covariance and noise levels alone; of the covariance alone. */
NBT_LOCAL void nbt_correct_init_readout(const nbt_layout *l);
NBT_LOCAL void nbt_correct_init_covariance(const nbt_layout *l);

/* Whether the covariance of the readout stands in the order [1; x; h], in which units can move,
 * instead of that of the readout: with units that follow, of a link whose inputs are taken as they
 * are while they are 0 or 1, once one of them is not. Cost: O(n_in). */
NBT_LOCAL int nbt_correct_is_constant_first(const nbt_layout *l);

/* The features l->f in the order of the covariance. */
NBT_LOCAL const float *nbt_correct_features(const nbt_layout *l);

/* The change of a step without label, after nbt_estimate_advance: w and g move, all parameters
 * stay. */
NBT_LOCAL void nbt_correct_nothing(const nbt_layout *l, nbt_change *change);

/* Learns the label against the prediction (nbt_label, l->y, in scaled units) with the features
 * l->f; fills `update`, which changed nothing before, for the sweep. Returns 0 if a number left its
 * bounds: then no parameter has changed. *limited: was a label brought to the gate? */
NBT_LOCAL int nbt_correct(nbt_learner *learner, const nbt_layout *l, nbt_update *update,
                          int *limited);

#endif
