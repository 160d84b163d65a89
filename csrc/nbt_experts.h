/* The forecasts of a learner whose units follow (docs/design.md, section 11), in the applied
 * units of each output:
 *     p_0  anchor   last value of the input whose future the output is; else the last label
 *     p_1  linear   base + V f of nbt_linear.h, with linear_lags
 *     p_2  full     base + V f of the readout that the network learns with
 *     p_3  slow     base + V f of a second readout on the same f, with slow_forget: it learns from
 *                   one label in four, a quarter of the work at each
 * base is p_0 for an anchored output, which learns the difference to it, else 0. With mix_forget
 * they and their mixture (nbt_mixture.h) wait with the input for the label; the anchor alone does
 * without a mixture.
 *
 * Features stand in the order f = [h; x; 1] for the full readout and [1; x; h] for the others and
 * for the covariances: a shift of x then keeps the factors triangular (nbt_ud_move). */
#ifndef NBT_EXPERTS_H
#define NBT_EXPERTS_H

#include "nbt_delay.h"
#include "nbt_layout.h"
#include "nbt_units.h"

/* Applied inputs, and what waits: for every output the K forecasts and the mixture, or the
 * anchor. */
NBT_LOCAL nbt_ring nbt_experts_taps(const nbt_learner *learner, const nbt_layout *l);
NBT_LOCAL nbt_ring nbt_experts_waiting(const nbt_learner *learner, const nbt_layout *l);

/* The answer for output o that was given `age` samples before the newest, in the output's units, if
 * the learner mixes or assesses; *behind receives where what nbt_assess.h has of it lies. */
NBT_LOCAL float *nbt_experts_waits(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                   size_t age, float **behind);

/* Whether a number says one of n_in input channels, or -1 for none. */
NBT_LOCAL int nbt_experts_is_channel(float channel, size_t n_in);

/* The input channel of output o, or -1. */
NBT_LOCAL float nbt_experts_anchor(const nbt_layout *l, size_t o);

/* The units of output o: those of its anchor, or its own. */
NBT_LOCAL nbt_unit nbt_experts_unit(const nbt_layout *l, size_t o);

/* Anchors as they are usual, and nothing learnt. */
NBT_LOCAL void nbt_experts_init(const nbt_layout *l);

/* Nothing learnt by any readout nor the mixture. */
NBT_LOCAL void nbt_experts_restart(const nbt_layout *l);

/* The linear forecasts and the weights of all start again. */
NBT_LOCAL void nbt_experts_open(const nbt_layout *l);

/* Forecasts with l->y = V f and the features l->f of the newest sample x (n_in), which start to
 * wait, and the answers y (O) in the caller's units. */
NBT_LOCAL void nbt_experts_forecast(nbt_learner *learner, const nbt_layout *l, const float *x,
                                    float *y);

/* Variance of the last answer for output o, caller's units squared: that of the mixture's errors,
 * or `own`, that of the full readout, in the units of the output. */
NBT_LOCAL float nbt_experts_variance(const nbt_layout *l, size_t o, float own);

/* Keeps the labels for nbt_experts_learn and makes them targets of the full readout; keeps the
 * features l->f too if the slow one begins with this label. */
NBT_LOCAL void nbt_experts_target(const nbt_learner *learner, const nbt_layout *l);

/* What the mixture and the other experts learn of the oldest forecast that waits. */
NBT_LOCAL void nbt_experts_learn(const nbt_learner *learner, const nbt_layout *l);

/* The values of an input are now x' = a x + b: taps and all that reads them. */
NBT_LOCAL void nbt_experts_move_input(const nbt_learner *learner, const nbt_layout *l,
                                      size_t channel, const nbt_unit_change *change);

/* The values of an output are now y' = a y + b: forecasts that wait, readouts, noise, errors. */
NBT_LOCAL void nbt_experts_move_output(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                       const nbt_unit_change *change);

/* An output has varied for the first time: all that was forecast of it is now b. */
NBT_LOCAL void nbt_experts_begin_output(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                        float b);

#endif
