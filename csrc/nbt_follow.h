/* Inputs and gaussian labels in units that follow the stream: applies nbt_units.h to every channel,
 * and converts everything learnt when units change (nbt_experts.h). With `follow` it replaces
 * nbt_intake.h. */
#ifndef NBT_FOLLOW_H
#define NBT_FOLLOW_H

#include "nbt_intake.h"
#include "nbt_layout.h"

/* Sets the initial units. */
NBT_LOCAL void nbt_follow_init(const nbt_layout *l);

/* Counts x (n_in), updates the units and stores x as the newest sample. Returns NBT_OK, or
 * NBT_ERR_INPUT with nothing changed. */
NBT_LOCAL nbt_status nbt_follow_input(nbt_learner *learner, const nbt_layout *l, const float *x,
                                      nbt_notice *notice);

/* Checks the gaussian label and converts it to the units of its outputs in nbt_label(l), NaN where
 * it is stuck or the output has not varied. *present: whether any output has a label. Returns
 * NBT_OK or NBT_ERR_LABEL. */
NBT_LOCAL nbt_status nbt_follow_label(const nbt_layout *l, const float *label, int *present,
                                      nbt_notice *notice);

/* Counts the labels of outputs without anchor, after the step, and updates their units. */
NBT_LOCAL void nbt_follow_labelled(nbt_learner *learner, const nbt_layout *l, const float *label);

#endif
