/* Passes over the R x D matrices, the only loops whose cost grows with the parameters.
 *
 * Storage: rows are grouped in blocks of NBT_LANES rows, the rest in narrower blocks (…, 8, 4, 1),
 * each stored as [column][row of the block], so a vector unit works on many rows at once while every
 * row is summed in column order: the same bits for every NBT_LANES, and no padding. */
#ifndef NBT_SWEEP_H
#define NBT_SWEEP_H

#include <stddef.h>

#ifndef NBT_LANES
#define NBT_LANES 1
#endif

/* Matrices and sizes of one learner. cov is NULL under a Euclidean metric (P = 1). */
typedef struct nbt_matrices {
    float *theta;
    float *w;
    float *cov;
    size_t rows;
    size_t cols;
    size_t hidden;
} nbt_matrices;

/* Row sums that the estimate and the filter need; P is the filter's metric. */
typedef struct nbt_products {
    float *a;        /* (R) theta u */
    float *da;       /* (R) theta_h v_h */
    float *wu;       /* (R) sum_j P w u */
    float *uu;       /* (R) sum_j P u u */
    float ww;        /* sum over all entries of P w w */
    float ww_plain;  /* sum of w w */
} nbt_products;

/* What one learning step does to every parameter i of row r:
 *     w <- w_scale w + u_scale_r u                    the estimate
 *     theta += step P w                               the filter
 *     P <- P / (keep + (rate_curvature w^2 + rate_floor) P) */
typedef struct nbt_update {
    float w_scale;
    const float *u_scale;  /* (R) */
    float step;            /* eta gamma (alpha . x) */
    float keep;            /* 1 - gamma */
    float rate_curvature;  /* gamma alpha^T Lambda alpha */
    float rate_floor;      /* gamma delta */
} nbt_update;

/* Index of element (row, col) in block storage. */
size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols);

/* a (R) = theta u. */
void nbt_sweep_forward(const nbt_matrices *m, float *a, const float *u);

/* All row sums for u (D) and the hidden part of v (H). */
void nbt_sweep_products(const nbt_matrices *m, nbt_products *out, const float *u, const float *v);

/* The update above with the step's own u (D). */
void nbt_sweep_update(const nbt_matrices *m, const nbt_update *update, const float *u);

#endif
