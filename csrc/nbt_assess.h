/* What a learner says of its forecasts: intervals around them (nbt_interval.h), and how unusual the
 * labels are that come (nbt_anomaly.h). Both look at the answer that the caller was given, in the
 * applied units of the output, and move with these. Neither changes what is learnt.
 *
 * Behind the forecasts that wait for a label of an output lie the scale s of its intervals, 0 for
 * an output that had not varied yet, and their bounds (intervals, 2). */
#ifndef NBT_ASSESS_H
#define NBT_ASSESS_H

#include "nbt_layout.h"
#include "nbt_units.h"

/* The usual levels, nothing learnt. */
NBT_LOCAL void nbt_assess_init(const nbt_layout *l);

/* Intervals of these levels (intervals), ascending; nothing learnt of them. */
NBT_LOCAL void nbt_assess_levels(const nbt_layout *l, const float *level);

/* Intervals around the newest answers. */
NBT_LOCAL void nbt_assess_forecast(const nbt_learner *learner, const nbt_layout *l);

/* The labels of the oldest answers: as the caller gave them, and in nbt_label, NaN where missing. Intervals learn of them only if
 * the learner does (`learns`). */
NBT_LOCAL void nbt_assess_learn(const nbt_learner *learner, const nbt_layout *l, const float *label,
                                int learns);

/* The values of an output are now y' = a y + b: what waits, and what was learnt. */
NBT_LOCAL void nbt_assess_move(const nbt_learner *learner, const nbt_layout *l, size_t o,
                               const nbt_unit_change *change);

/* An output has varied for the first time: nothing is known of it yet. */
NBT_LOCAL void nbt_assess_begin(const nbt_learner *learner, const nbt_layout *l, size_t o);

/* The learner has reset its adaptation: the intervals of all outputs are wider from now on. */
NBT_LOCAL void nbt_assess_open(const nbt_layout *l);

/* What nbt_interval, nbt_student and nbt_anomaly give. */
NBT_LOCAL void nbt_assess_bounds(const nbt_learner *learner, const nbt_layout *l, float *bounds);
NBT_LOCAL void nbt_assess_student(const nbt_learner *learner, const nbt_layout *l, float *scale,
                                  float *freedom);
NBT_LOCAL void nbt_assess_scores(const nbt_layout *l, float *score);

#endif
