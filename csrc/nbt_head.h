/* The head: a learnt layer of Q units between the network and its readout (docs/design.md, section
 * 3).
 *
 *     z = [h; x; 1]   phi = tanh(U z)   e = 1 - phi^2   f = [h; phi; x; 1]
 *
 * h is the new state (E; with resonators [h; p; q]), x the scaled input. The slope of (V f)_o along
 * U_k is V_o,k e_k z; along h_i it is V_o,i + sum_k V_o,k e_k U_k,i. The first needs no derivative
 * of the state, so the head learns with every estimator. It uses the diagonal block of the filter.
 *
 * U and its covariance are stored in blocks of rows (nbt_layout_head_index). `tail` is [x; 1] (I +
 * 1). All functions require a learner with a head. */
#ifndef NBT_HEAD_H
#define NBT_HEAD_H

#include "nbt_layout.h"

/* Computes phi (Q), and e for the rest of the step. Cost: Q Z. */
NBT_LOCAL void nbt_head_forward(const nbt_layout *l, float *phi, const float *state,
                                const float *tail);

/* row (E): the slopes of (V f)_o along h. Cost: Q E. */
NBT_LOCAL void nbt_head_slopes(const nbt_layout *l, float *row, size_t o);

/* Computes the directions of the outputs' slopes along U: V_phi, not whitened yet, to head_white
 * (Q, O), and e^2 sum_j P z_j^2 to head_square (Q). Cost: Q Z + Q O. */
NBT_LOCAL void nbt_head_directions(const nbt_layout *l);

/* Computes the step of U along each direction, gain times that of the innovation, and its
 * curvature. The step is limited so that U_k z changes by at most one half. */
NBT_LOCAL void nbt_head_step(const nbt_layout *l, float gain);
NBT_LOCAL void nbt_head_curvature(const nbt_layout *l, float gamma);

/* nbt_head_reach returns the sum of the squared sizes of the steps: a weight of U changes by at
 * most sqrt(P) times its root. nbt_head_bend returns the sum of the curvature along them. */
NBT_LOCAL float nbt_head_reach(const nbt_layout *l);
NBT_LOCAL float nbt_head_bend(const nbt_layout *l);

/* Changes U and its covariance with the step of a label. P of the first half of the columns, or of
 * the second, moves with twice the rate (turns: nbt_kalman.h). Overwrites cf. Cost: Q Z. */
NBT_LOCAL void nbt_head_change(const nbt_layout *l, const nbt_update *update);

#endif
