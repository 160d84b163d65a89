/* The covariance C of the readout, one for all outputs, factorised as C = U diag(d) U^T: the
 * readout block of the Kalman filter (the recurrent one: nbt_kalman.h).
 *
 * Updated by Bierman's algorithm (1977, Factorization Methods for Discrete Sequential Estimation),
 * which keeps C positive whatever is rounded. Here f (n = D) are the features. */
#ifndef NBT_UD_H
#define NBT_UD_H

#include <stddef.h>

#include "nbt_simd.h"

/* ud (n (n + 1) / 2): columns of the unit upper triangular U, packed; column j is its entries above
 * the diagonal, then d_j. Starts as diag(prior_hidden on the first H, prior on the rest). */
NBT_LOCAL void nbt_ud_init(float *ud, size_t n, size_t H, float prior_hidden, float prior);

/* uf (n) = U^T f. Returns f^T C f. */
NBT_LOCAL float nbt_ud_project(const float *ud, float *uf, const float *f, size_t n);

/* Measurement of weight `weight` along f, given uf = U^T f (Bierman 1977): cf (n) receives C f of
 * the old C, and C <- C - weight cf cf^T / (1 + weight f^T C f). uf is used up, scratch (n).
 * Returns a sum for nbt_ud_forget. Cost: 4 multiplications and additions an entry of U. */
NBT_LOCAL float nbt_ud_measure(float *ud, float *cf, float *uf, float weight, float *scratch,
                               size_t n);

/* Every d_j forgets towards its own start value: d_j / (forget + (1 - forget) d_j / prior_j).
 * Returns 1 if every number of the factorisation is finite; sum is what nbt_ud_measure returned. */
NBT_LOCAL int nbt_ud_forget(float *ud, size_t n, size_t H, float prior_hidden, float prior,
                            float forget, float sum);

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

/* to (n) = [1; x; h] of from (n) = [h; x; 1], H units, and back: with units that follow, the
 * constant comes first in the order of the covariance. */
NBT_LOCAL void nbt_ud_constant_first(float *to, const float *from, size_t n, size_t H);
NBT_LOCAL void nbt_ud_constant_last(float *to, const float *from, size_t n, size_t H);

#endif
