/* Inputs and gaussian labels in units that follow the stream: nbt_units.h for every channel, and
 * what has to be re-expressed when units move (nbt_experts.h). It takes the place of nbt_intake.h
 * with `follow`. */
#ifndef NBT_FOLLOW_H
#define NBT_FOLLOW_H

#include "nbt_intake.h"
#include "nbt_layout.h"

/* Units of a learner that has seen nothing. */
NBT_LOCAL void nbt_follow_init(const nbt_layout *l);

/* Counts x (n_in), moves units and makes it the newest sample. NBT_OK or NBT_ERR_INPUT: then
 * nothing has changed. */
NBT_LOCAL nbt_status nbt_follow_input(nbt_learner *learner, const nbt_layout *l, const float *x,
                                      nbt_notice *notice);

/* Checks the gaussian label and brings it to the units of its outputs in nbt_label(l), NaN where
 * it is stuck or the output has not varied; *present: is any output labelled? NBT_OK or
 * NBT_ERR_LABEL. */
NBT_LOCAL nbt_status nbt_follow_label(const nbt_layout *l, const float *label, int *present,
                                      nbt_notice *notice);

/* Counts the labels of outputs without anchor, after the step, and moves their units. */
NBT_LOCAL void nbt_follow_labelled(nbt_learner *learner, const nbt_layout *l, const float *label);

#endif
