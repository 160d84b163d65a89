/* The decoupled Kalman-like filter: one innovation covariance shared by the recurrent block
 * (diagonal in nbt_sweep, with the bias column exact in nbt_quasi) and the readout block (full,
 * factorised U diag(d) U^T here). */
#ifndef NBT_FILTER_H
#define NBT_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "nbt_simd.h"

/* ud (n (n + 1) / 2): columns of the unit upper triangular U, packed; column j is its entries above
 * the diagonal, then d_j. Starts as diag(prior_hidden on the first H, prior on the rest). */
NBT_LOCAL void nbt_ud_init(float *ud, size_t n, size_t H, float prior_hidden, float prior);

/* uf (n) = U^T f. Returns f^T C f. */
NBT_LOCAL float nbt_ud_project(const float *ud, float *uf, const float *f, size_t n);

/* Measurement of weight `weight` along f, given uf = U^T f (Bierman 1977): cf (n) receives C f of
 * the old C, and C <- C - weight cf cf^T / (1 + weight f^T C f). uf is used up, scratch (n). */
NBT_LOCAL void nbt_ud_measure(float *ud, float *cf, float *uf, float weight, float *scratch,
                              size_t n);

/* Every d_j forgets towards its own start value: d_j / (forget + (1 - forget) d_j / prior_j). */
NBT_LOCAL void nbt_ud_forget(float *ud, size_t n, size_t H, float prior_hidden, float prior,
                             float forget);

/* 1 if every number of the factorisation is finite. */
NBT_LOCAL int nbt_ud_is_finite(const float *ud, size_t n);

/* C (n, n) row-major, for inspection. */
NBT_LOCAL void nbt_ud_expand(const float *ud, float *C, size_t n);

/* The innovation covariance in whitened units, S = I + F^T M F with M = c diag(scale) + the recurrent
 * block, packed lower triangle (O (O + 1) / 2). scale is the noise variance (gaussian) or 1; factor
 * (O) and p (O) describe F (nbt_readout.h). First the readout's share ... */
NBT_LOCAL void nbt_innovation_start(uint32_t link, float *S, const float *factor, const float *p,
                                    float c, size_t O);

/* Directions of the recurrent block: n rows a (n, O), with b every one of them, of its own (b_step = O) or
 * the same for all (0), or none (NULL), and products aa, ab (n). */
typedef struct nbt_directions {
    const float *a;
    const float *b;
    size_t b_step;
    const float *aa;
    const float *ab;
    size_t n;
} nbt_directions;

/* ... then S += gain (aa a a^T + ab (a b^T + b a^T)) for one direction after the other ... */
NBT_LOCAL void nbt_innovation_add(float *S, const nbt_directions *directions, float gain, size_t O);

/* ... and x (O) <- S^-1 x, by Cholesky in place. Cost: O^3 / 6. */
NBT_LOCAL void nbt_innovation_solve(float *S, float *x, size_t O);

/* With independent outputs (any link but the categorical) and one direction, S = diag(s) + strength a a^T:
 * its s (O) ... */
NBT_LOCAL void nbt_innovation_diagonal(uint32_t link, float *s, const float *factor, float c,
                                       size_t O);

/* ... and x (O) <- S^-1 x (Sherman and Morrison 1950). Cost: 8 O. */
NBT_LOCAL void nbt_innovation_solve_along(const float *s, const float *a, float strength, float *x,
                                          size_t O);

#endif
