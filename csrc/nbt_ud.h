/* The covariance C of the readout, one for all outputs, factorised as C = U diag(d) U^T: the
 * readout block of the Kalman filter (the recurrent one: nbt_kalman.h).
 *
 * Updated by Bierman's algorithm (1977, Factorization Methods for Discrete Sequential Estimation),
 * which keeps C positive whatever is rounded. A measurement of weight w along the features f (n) is
 *     b = U^T f                                    nbt_ud_project
 *     A_j = 1 + w sum_{k <= j} d_k b_k^2           nbt_ud_gains, as all that is one number a column
 *     K_j = d_j b_j / A_j,  d_j <- d_j A_{j-1} / A_j
 *     U_ij <- U_ij - w b_j K_i,  K_i <- K_i + U_ij K_j (the new U_ij), j ascending    nbt_ud_turn
 * after which K = C f / (1 + w f^T C f) with the C from before, the gains of a readout. Every new
 * entry of U goes into the sum of its row: if one of them is not finite, its K_i is not either. */
#ifndef NBT_UD_H
#define NBT_UD_H

#include <stddef.h>

#include "nbt_simd.h"

/* What d starts as: `head` on the first features, `tail` on the rest. */
typedef struct nbt_ud_prior {
    size_t first;
    float head;
    float tail;
} nbt_ud_prior;

/* ud (n (n + 1) / 2): columns of the unit upper triangular U, packed; column j is its entries above
 * the diagonal, then d_j. Starts as the diagonal of the prior. */
NBT_LOCAL void nbt_ud_init(float *ud, size_t n, const nbt_ud_prior *prior);

/* b = U^T f in columns `column` to `end`. Returns f^T C f, which is not finite if any number of the
 * factorisation is not: what these columns add to c, which is that of the columns before. Cost: one
 * multiplication and addition an entry of U. */
NBT_LOCAL float nbt_ud_project(const float *ud, float *b, const float *f, float c, size_t column,
                               size_t end);

/* gain (n) receives the K_j that nbt_ud_turn starts from; b becomes w b; d moves, and then forgets
 * towards the prior: d_j <- d_j / (forget + (1 - forget) d_j / prior_j). gain may be f. w f^T C f
 * is below NBT_HUGE: d stays finite. */
NBT_LOCAL void nbt_ud_gains(float *ud, float *gain, float *b, float weight,
                            const nbt_ud_prior *prior, float forget, size_t n);

/* Rows `row` to `end` of U and of gain; those above have to be turned already. Cost: two
 * multiplications and additions an entry. */
NBT_LOCAL void nbt_ud_turn(float *ud, float *gain, const float *b, size_t row, size_t end,
                           size_t n);

/* Features of the positions first, first + step, ... (count of them, none the first of all) become
 * x' = a x + b times the first feature, which is the constant 1: C <- M C M^T with M = A^-T, f' = A
 * f. M is upper triangular with the constant first, so that the factor stays one; n count
 * operations. Every d_j that changes stays within [1e-12, 1e12]. */
NBT_LOCAL void nbt_ud_move(float *ud, size_t n, size_t first, size_t step, size_t count, float a,
                           float b);

/* 1 if every number of the factorisation is finite. */
NBT_LOCAL int nbt_ud_is_finite(const float *ud, size_t n);

/* C (n, n) row-major, for inspection, in the order of the readout: H units, or n where the
 * covariance stands in that order already. */
NBT_LOCAL void nbt_ud_expand(const float *ud, float *C, size_t n, size_t H);

/* to (n) = [1; x; h] of from (n) = [h; x; 1], H units: with units that follow, the constant comes
 * first in the order of the covariance. */
NBT_LOCAL void nbt_ud_constant_first(float *to, const float *from, size_t n, size_t H);

#endif
