/* One step of the learning state and of the estimate of its derivative. Every estimator has its own
 * file (nbt_nobacktrack.h, nbt_traces.h, nbt_residual.h, nbt_unitwise.h, nbt_rtrl.h; frozen has
 * none) with these functions:
 *     clear        resets the estimate: sets all arrays of the estimator
 *     advance      advances v, fills in the motion of w and g (nbt_motion), and sets the sums
 *                  P w w, P g g and P g w to their values after the sweep
 *     is_bounded   0 if a number of the estimate is out of bounds or NaN
 * and, for residual, `look`, which prepares the vectors that the row sums need. */
#ifndef NBT_ESTIMATE_H
#define NBT_ESTIMATE_H

#include "nbt_layout.h"

/* Clears the estimate. */
NBT_LOCAL void nbt_estimate_clear(const nbt_layout *l);

/* Computes u = [h; x; 1] of the learning state and the input `age` samples before the newest, and
 * the row sums from which the next nbt_estimate_advance starts. Makes the pending change first, if
 * there is one; its u is l->u. Nothing else changes. */
NBT_LOCAL void nbt_estimate_look(nbt_learner *learner, const nbt_layout *l, size_t age,
                                 const nbt_change *change);

/* Advances a state (S) by one step with the pre-activations l->act. With an estimate, the gains
 * overwrite them. */
NBT_LOCAL void nbt_estimate_step(const nbt_layout *l, float *state);

/* The same with any pre-activations a (R), without gains. */
NBT_LOCAL void nbt_estimate_move(const nbt_layout *l, float *a, float *state);

/* Advances the learning state by the oldest waiting input, and the estimate; called after
 * nbt_estimate_look. l then has the motion of w and g (nbt_correct_nothing). */
NBT_LOCAL void nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l);

/* 0 if a number of the estimate is out of its bounds or NaN. */
NBT_LOCAL int nbt_estimate_is_bounded(const nbt_layout *l);

/* a (R) = Theta u for u = [h; x; 1]. */
NBT_LOCAL void nbt_estimate_forward(const nbt_layout *l, float *a, const float *u);

/* Makes the pending change of the matrices; nothing for NULL. */
NBT_LOCAL void nbt_estimate_change(const nbt_layout *l, const nbt_change *change);

#endif
