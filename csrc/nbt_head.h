/* The head: a learnt layer of Q units between the network and its readout (docs/design.md,
 * section 3).
 *
 *     z = [h; x; 1]   phi = tanh(U z)   e = 1 - phi^2   f = [h; phi; x; 1]
 *
 * h is the new state (E; with resonators [h; p; q]), x the input as the network sees it. The slope of (V f)_o is, along U_k,
 * V_o,k e_k z, and along h_i, V_o,i + sum_k V_o,k e_k U_k,i. The first needs no derivative of the
 * state: the head learns with every estimator, by the diagonal block of the filter.
 *
 * U and its covariance lie in blocks of rows (nbt_layout_head_index). Here `tail` is [x; 1] (I + 1). All but nbt_has_head expects a learner that has a head. */
#ifndef NBT_HEAD_H
#define NBT_HEAD_H

#include "nbt_layout.h"

/* phi (Q), and e for the rest of the step. Cost: Q Z. */
NBT_LOCAL void nbt_head_forward(const nbt_layout *l, float *phi, const float *state,
                                const float *tail);

/* row (E): the slopes of (V f)_o along h. Cost: Q E. */
NBT_LOCAL void nbt_head_slopes(const nbt_layout *l, float *row, size_t o);

/* The directions of the outputs' slopes along U, V_phi, not whitened yet, to head_white (Q, O), and
 * head_square (Q), e^2 sum_j P z_j^2. Cost: Q Z + Q O. */
NBT_LOCAL void nbt_head_directions(const nbt_layout *l);

/* The step of U along each direction, gain times that of the innovation, within which U_k z moves by
 * at most one half, and its curvature. */
NBT_LOCAL void nbt_head_step(const nbt_layout *l, float gain);
NBT_LOCAL void nbt_head_curvature(const nbt_layout *l, float gamma);

/* Sum of the squares of how far the steps reach: a weight of U moves by sqrt(P) times the root at
 * most. And what their curvature sums up to. */
NBT_LOCAL float nbt_head_reach(const nbt_layout *l);
NBT_LOCAL float nbt_head_bend(const nbt_layout *l);

/* U and its covariance after the step; P of the first half of the columns, or of the second, moves
 * with twice the rate (nbt_kalman.h). Uses up cf. Cost: Q Z. */
NBT_LOCAL void nbt_head_change(const nbt_layout *l, const nbt_update *update);

#endif
