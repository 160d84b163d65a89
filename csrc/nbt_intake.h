/* Inputs and labels from the caller: checks them, updates the scaler, stores inputs in the ring;
 * and converts predictions to the caller's units. Nothing changes before everything has been
 * checked. */
#ifndef NBT_INTAKE_H
#define NBT_INTAKE_H

#include "nbt_delay.h"
#include "nbt_layout.h"

NBT_LOCAL nbt_ring nbt_intake_ring(const nbt_learner *learner, const nbt_layout *l);

/* The interventions of the guards for an input or a label. */
typedef struct nbt_notice {
    int limited;
    int stuck;
    int jumped; /* an input has changed permanently (nbt_units.h) */
} nbt_notice;

/* Counts x in runs (2, n). Returns whether the channel has now repeated it for more than `steps`
 * samples (0: never). A missing value is not counted. */
NBT_LOCAL int nbt_intake_is_stuck(float *runs, size_t channel, size_t n, float x, uint32_t steps);

/* Scales x (n_in) and stores it as the newest sample. Returns NBT_OK or NBT_ERR_INPUT. */
NBT_LOCAL nbt_status nbt_intake_input(nbt_learner *learner, const nbt_layout *l, const float *x,
                                      nbt_notice *notice);

/* Checks the label and converts it to scaled units in nbt_label(l), NaN where it is stuck.
 * *present: whether any output has a label. Returns NBT_OK or NBT_ERR_LABEL. */
NBT_LOCAL nbt_status nbt_intake_label(const nbt_layout *l, const float *label, int *present,
                                      nbt_notice *notice);

/* u (D) = [h of state; x; 1] for the sample `age` samples before the newest. */
NBT_LOCAL void nbt_intake_gather(const nbt_learner *learner, const nbt_layout *l, float *u,
                                 const float *state, size_t age);

/* Converts gaussian predictions y (O) to the caller's units. */
NBT_LOCAL void nbt_intake_unscale(const nbt_layout *l, float *y);

#endif
