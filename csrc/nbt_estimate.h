/* One step of the learning state together with the estimate of its derivative. What a step does
 * with the estimate is in the file of each estimator (nbt_nobacktrack.h, nbt_traces.h,
 * nbt_residual.h, nbt_unitwise.h, nbt_rtrl.h; frozen has none), which offers
 *     clear        an estimate that knows nothing; sets all that the estimator keeps
 *     advance      v moves, w and g are said how to (nbt_motion), and the sums P w w, P g g and
 *                  P g w are brought to what they will be after the sweep
 *     is_bounded   0 if a number of the estimate is out of bounds or NaN
 * and, for residual, `look`: what has to be known before the sums are taken. */
#ifndef NBT_ESTIMATE_H
#define NBT_ESTIMATE_H

#include "nbt_layout.h"

/* Clears all that the estimator keeps. */
NBT_LOCAL void nbt_estimate_clear(const nbt_layout *l);

/* u = [h; x; 1] of the learning state and the input `age` samples before the newest, and the row
 * sums that the next nbt_estimate_advance starts from; before that the change, if there is one,
 * whose u is l->u. Changes nothing else. */
NBT_LOCAL void nbt_estimate_look(nbt_learner *learner, const nbt_layout *l, size_t age,
                                 const nbt_change *change);

/* Advances a state (S) by one step with the pre-activations l->act, which become the gains where
 * there is an estimate. */
NBT_LOCAL void nbt_estimate_step(const nbt_layout *l, float *state);

/* The same with any pre-activations a (R), and no gains. */
NBT_LOCAL void nbt_estimate_move(const nbt_layout *l, float *a, float *state);

/* Advances the learning state by the oldest waiting input, after nbt_estimate_look, and the
 * estimate. The motion of w and g is then in l (nbt_correct_nothing). */
NBT_LOCAL void nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l);

/* 0 if a number of the estimate left its bounds or is NaN. */
NBT_LOCAL int nbt_estimate_is_bounded(const nbt_layout *l);

/* a (R) = Theta u for u = [h; x; 1]. */
NBT_LOCAL void nbt_estimate_forward(const nbt_layout *l, float *a, const float *u);

/* Makes the change that a step has left undone; none for NULL. */
NBT_LOCAL void nbt_estimate_change(const nbt_layout *l, const nbt_change *change);

#endif
