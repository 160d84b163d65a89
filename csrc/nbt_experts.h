/* The experts of a learner with units that follow the stream (docs/design.md, section 11):
 * forecasts in the applied units of each output (nbt_units.h),
 *     p_0  anchor   newest value of the input that the output predicts; else the last label
 *     p_1  linear   base + V f of nbt_linear.h, with linear_lags
 *     p_2  full     base + V f of the readout that the network learns with
 *     p_3  slow     base + V f of a second readout on the same f, with slow_forget: it learns from
 *                   one label in four, and spreads the work over four steps
 * base is p_0 for an anchored output, which learns the difference to it, else 0. With mix_forget,
 * the forecasts and their mixture (nbt_mixture.h) are stored with the input until the label
 * arrives; without it only the anchor is. The answer is the forecast that the caller receives.
 *
 * The order of the features is [h; x; 1] for the full readout, and [1; x; h] for the other readouts
 * and for the covariances: a shift of x then keeps the factors triangular (nbt_ud_move). */
#ifndef NBT_EXPERTS_H
#define NBT_EXPERTS_H

#include "nbt_delay.h"
#include "nbt_layout.h"
#include "nbt_units.h"

/* The rings of applied inputs and of waiting forecasts: for every output the K forecasts and the
 * mixture, or the anchor. */
NBT_LOCAL nbt_ring nbt_experts_taps(const nbt_learner *learner, const nbt_layout *l);
NBT_LOCAL nbt_ring nbt_experts_waiting(const nbt_learner *learner, const nbt_layout *l);

/* The answer for output o that was given `age` samples before the newest, in the output's units, if
 * the learner mixes or assesses. *behind receives the address of the floats of nbt_assess.h. */
NBT_LOCAL float *nbt_experts_waits(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                   size_t age, float **behind);

/* Whether a number is the index of one of n_in input channels, or -1 for none. */
NBT_LOCAL int nbt_experts_is_channel(float channel, size_t n_in);

/* The input channel of output o, or -1. */
NBT_LOCAL float nbt_experts_anchor(const nbt_layout *l, size_t o);

/* The units of output o: those of its anchor, or its own. */
NBT_LOCAL nbt_unit nbt_experts_unit(const nbt_layout *l, size_t o);

/* Sets the default anchors; resets all that was learnt. */
NBT_LOCAL void nbt_experts_init(const nbt_layout *l);

/* Resets all readouts and the mixture. */
NBT_LOCAL void nbt_experts_restart(const nbt_layout *l);

/* Resets the linear readouts and the weights of the mixture. */
NBT_LOCAL void nbt_experts_open(const nbt_layout *l);

/* Computes the forecasts from l->y = V f, the features l->f and the newest sample x (n_in), stores
 * them until their label, and gives the answers y (O) in the caller's units. */
NBT_LOCAL void nbt_experts_forecast(nbt_learner *learner, const nbt_layout *l, const float *x,
                                    float *y);

/* Variance of the last answer for output o, in squared units of the caller: that of the mixture's
 * errors, or `own`, that of the full readout in the units of the output. */
NBT_LOCAL float nbt_experts_variance(const nbt_layout *l, size_t o, float own);

/* Stores the labels for nbt_experts_learn and converts them to targets of the full readout. Stores
 * the features l->f too if the slow readout starts with this label. */
NBT_LOCAL void nbt_experts_target(const nbt_learner *learner, const nbt_layout *l);

/* Updates the mixture and the other experts with the label of the oldest waiting forecast. */
NBT_LOCAL void nbt_experts_learn(const nbt_learner *learner, const nbt_layout *l);

/* The values of an input are now x' = a x + b: converts the stored inputs and all weights on
 * them. */
NBT_LOCAL void nbt_experts_move_input(const nbt_learner *learner, const nbt_layout *l,
                                      size_t channel, const nbt_unit_change *change);

/* The values of an output are now y' = a y + b: converts waiting forecasts, readouts, noise and
 * errors. */
NBT_LOCAL void nbt_experts_move_output(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                       const nbt_unit_change *change);

/* An output has varied for the first time: every waiting forecast of it is now b. */
NBT_LOCAL void nbt_experts_begin_output(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                        float b);

#endif
