/* Learning one label: the readout, its covariance, the noise variance, and the scalars of the
 * recurrent step. */
#ifndef NBT_CORRECT_H
#define NBT_CORRECT_H

#include "nbt_layout.h"

/* Resets readout, covariances and noise variances to the initial ones. */
NBT_LOCAL void nbt_correct_init(const nbt_layout *l);

/* The same for the readout, its covariance and the noise variances only; for the covariance
 * only. */
NBT_LOCAL void nbt_correct_init_readout(const nbt_layout *l);
NBT_LOCAL void nbt_correct_init_covariance(const nbt_layout *l);

/* Whether the covariance of the readout is in the order [1; x; h], in which units can change,
 * instead of the order of the readout. It is with units that follow the stream; for links that are
 * not gaussian only after an input was other than 0 or 1. Cost: O(n_in). */
NBT_LOCAL int nbt_correct_is_constant_first(const nbt_layout *l);

/* The features l->f in the order of the covariance. */
NBT_LOCAL const float *nbt_correct_features(const nbt_layout *l);

/* Sets the change of a step without label, after nbt_estimate_advance: w and g move, the parameters
 * do not. */
NBT_LOCAL void nbt_correct_nothing(const nbt_layout *l, nbt_change *change);

/* Learns the label against the prediction (nbt_label, l->y, in scaled units) with the features
 * l->f. Fills `update` for the sweep, which so far changed nothing. Returns 0 if a number left its
 * bounds: then no parameter has changed. *limited is set if the gate limited a label. */
NBT_LOCAL int nbt_correct(nbt_learner *learner, const nbt_layout *l, nbt_update *update,
                          int *limited);

#endif
