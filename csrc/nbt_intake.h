/* What comes in from the caller: checked, counted by the scaler, put into the ring; and predictions
 * on their way out. Nothing changes before everything has been checked. */
#ifndef NBT_INTAKE_H
#define NBT_INTAKE_H

#include "nbt_delay.h"
#include "nbt_layout.h"

NBT_LOCAL nbt_ring nbt_intake_ring(const nbt_learner *learner, const nbt_layout *l);

/* What the guards did to an input or a label. */
typedef struct nbt_notice {
    int limited;
    int stuck;
    int jumped; /* an input, permanently (nbt_units.h) */
} nbt_notice;

/* Counts x in runs (2, n); whether the channel has now repeated it for more than `steps` samples
 * (0: never). A missing value is not counted. */
NBT_LOCAL int nbt_intake_is_stuck(float *runs, size_t channel, size_t n, float x, uint32_t steps);

/* Scales x (n_in) and makes it the newest sample. NBT_OK or NBT_ERR_INPUT. */
NBT_LOCAL nbt_status nbt_intake_input(nbt_learner *learner, const nbt_layout *l, const float *x,
                                      nbt_notice *notice);

/* Checks the label and brings it to scaled units in nbt_label(l), NaN where it is stuck; *present:
 * is any output labelled? NBT_OK or NBT_ERR_LABEL. */
NBT_LOCAL nbt_status nbt_intake_label(const nbt_layout *l, const float *label, int *present,
                                      nbt_notice *notice);

/* u (D) = [h of state; x; 1] for the sample `age` samples before the newest. */
NBT_LOCAL void nbt_intake_gather(const nbt_learner *learner, const nbt_layout *l, float *u,
                                 const float *state, size_t age);

/* y (O): gaussian predictions back to the caller's units. */
NBT_LOCAL void nbt_intake_unscale(const nbt_layout *l, float *y);

#endif
