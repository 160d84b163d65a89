/* The uncertainty of the forecasts: prediction intervals (nbt_interval.h), and anomaly scores of
 * the labels (nbt_anomaly.h). Both use the answer that the caller received, in the applied units of
 * the output (nbt_units.h), and follow changes of these units. Neither affects learning.
 *
 * Each waiting forecast of an output is stored with the scale s of its intervals and their bounds
 * (intervals, 2). s is 0 if the output had not varied yet. */
#ifndef NBT_ASSESS_H
#define NBT_ASSESS_H

#include "nbt_layout.h"
#include "nbt_units.h"

/* Sets the default levels; clears all that was learnt. */
NBT_LOCAL void nbt_assess_init(const nbt_layout *l);

/* Sets the levels (intervals), ascending; clears what was learnt about intervals. */
NBT_LOCAL void nbt_assess_levels(const nbt_layout *l, const float *level);

/* Computes and stores the intervals around the newest answers. */
NBT_LOCAL void nbt_assess_forecast(const nbt_learner *learner, const nbt_layout *l);

/* Learns from the labels of the oldest answers. They are given as the caller gave them and in
 * nbt_label, NaN where missing. Intervals learn only if the learner does (`learns`). */
NBT_LOCAL void nbt_assess_learn(const nbt_learner *learner, const nbt_layout *l, const float *label,
                                int learns);

/* The values of an output are now y' = a y + b: converts the stored forecasts and what was
 * learnt. */
NBT_LOCAL void nbt_assess_move(const nbt_learner *learner, const nbt_layout *l, size_t o,
                               const nbt_unit_change *change);

/* An output has varied for the first time: clears what was learnt about it. */
NBT_LOCAL void nbt_assess_begin(const nbt_learner *learner, const nbt_layout *l, size_t o);

/* The learner has reset its adaptation: widens the intervals of all outputs. */
NBT_LOCAL void nbt_assess_open(const nbt_layout *l);

/* The results of nbt_interval, nbt_student and nbt_anomaly. */
NBT_LOCAL void nbt_assess_bounds(const nbt_learner *learner, const nbt_layout *l, float *bounds);
NBT_LOCAL void nbt_assess_student(const nbt_learner *learner, const nbt_layout *l, float *scale,
                                  float *freedom);
NBT_LOCAL void nbt_assess_scores(const nbt_layout *l, float *score);

#endif
