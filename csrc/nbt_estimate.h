/* One step of the learning state together with the estimate of its derivative. */
#ifndef NBT_ESTIMATE_H
#define NBT_ESTIMATE_H

#include "nbt_layout.h"
#include "nbt_matrices.h"

/* Clears v, w, g, what is remembered of their norms, and the exact derivative. */
NBT_LOCAL void nbt_estimate_clear(const nbt_layout *l);

/* u = [h; x; 1] of the learning state and the input `age` samples before the newest, and the row sums
 * that the next nbt_estimate_advance starts from; before that the change, if there is one, whose u is
 * l->u. Changes nothing else. */
NBT_LOCAL void nbt_estimate_look(nbt_learner *learner, const nbt_layout *l, size_t age,
                                 const nbt_change *change);

/* Advances a state (S) by one step with the pre-activations l->act, which become the gains. */
NBT_LOCAL void nbt_estimate_step(const nbt_config *config, const nbt_layout *l, float *state);

/* Advances the learning state by the oldest waiting input, which somebody has looked at, and v. The motion
 * of w and g is then in l (nbt_correct_nothing), and w_square, g_square and g_cross are the sums of P w w,
 * P g g and P g w as they will be after it. */
NBT_LOCAL void nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l);

/* 0 if a number of the estimate left its bounds or is NaN. */
NBT_LOCAL int nbt_estimate_is_bounded(const nbt_layout *l);

#endif
