/* The covariance C of the readout, one for all outputs, factorised as C = U diag(d) U^T: the
 * readout block of the Kalman filter (the recurrent one: nbt_kalman.h).
 *
 * Bierman's algorithm (1977, Factorization Methods for Discrete Sequential Estimation) updates it
 * and keeps C positive under rounding. The update by a measurement of weight w along the features f
 * (n) is
 *     b = U^T f                                    nbt_ud_project
 *     A_j = 1 + w sum_{k <= j} d_k b_k^2           nbt_ud_gains, as all that is one number a column
 *     K_j = d_j b_j / A_j,  d_j <- d_j A_{j-1} / A_j
 *     U_ij <- U_ij - w b_j K_i,  K_i <- K_i + U_ij K_j (the new U_ij), j ascending    nbt_ud_turn
 * Afterwards K = C f / (1 + w f^T C f) with the previous C, the gains of a readout. Every new entry
 * of U is part of the sum of its row, so K_i is not finite if one of them is not. */
#ifndef NBT_UD_H
#define NBT_UD_H

#include <stddef.h>

#include "nbt_simd.h"

/* The initial d: `head` for the first features, `tail` for the rest. */
typedef struct nbt_ud_prior {
    size_t first;
    float head;
    float tail;
} nbt_ud_prior;

/* ud (n (n + 1) / 2): the columns of the unit upper triangular U, packed; column j is its entries
 * above the diagonal, then d_j. Initialised to the diagonal of the prior. */
NBT_LOCAL void nbt_ud_init(float *ud, size_t n, const nbt_ud_prior *prior);

/* b = U^T f in columns `column` to `end`. Returns f^T C f as the sum of c, which is that of the
 * columns before, and the terms of these columns. The result is not finite if any number of the
 * factorisation is not. Cost: one multiply-add per entry of U. */
NBT_LOCAL float nbt_ud_project(const float *ud, float *b, const float *f, float c, size_t column,
                               size_t end);

/* gain (n) receives the K_j from which nbt_ud_turn starts; b becomes w b. d is updated and then
 * forgets towards the prior: d_j <- d_j / (forget + (1 - forget) d_j / prior_j). gain may be f. d
 * stays finite if w f^T C f is below NBT_HUGE. */
NBT_LOCAL void nbt_ud_gains(float *ud, float *gain, float *b, float weight,
                            const nbt_ud_prior *prior, float forget, size_t n);

/* Updates the rows `row` to `end` of U and of gain; all rows above must have been updated. Cost:
 * two multiply-adds per entry. */
NBT_LOCAL void nbt_ud_turn(float *ud, float *gain, const float *b, size_t row, size_t end,
                           size_t n);

/* The features at first, first + step, ... (count of them, never the very first feature) become x'
 * = a x + b times the first feature, which is the constant 1. C <- M C M^T with M = A^-T, f' = A f.
 * M is upper triangular because the constant is first, so the factor stays triangular. Cost: n
 * count operations. Every d_j that changes is limited to [1e-12, 1e12]. */
NBT_LOCAL void nbt_ud_move(float *ud, size_t n, size_t first, size_t step, size_t count, float a,
                           float b);

/* 1 if every number of the factorisation is finite. */
NBT_LOCAL int nbt_ud_is_finite(const float *ud, size_t n);

/* C (n, n) row-major, for inspection, in the order of the readout. H is the number of units, or n
 * if the covariance is in that order already. */
NBT_LOCAL void nbt_ud_expand(const float *ud, float *C, size_t n, size_t H);

/* to (n) = [1; x; h] of from (n) = [h; x; 1] with H units: with units that follow the stream, the
 * covariance has the constant first. */
NBT_LOCAL void nbt_ud_constant_first(float *to, const float *from, size_t n, size_t H);

#endif
