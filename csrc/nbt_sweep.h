/* Passes over the R x D matrices, the only loops whose cost grows with the parameters.
 *
 * Storage: rows are grouped in blocks of NBT_LANES rows, the rest in narrower blocks (..., 8, 4, 1),
 * each stored as [column][row of the block], so a vector unit works on many rows at once while every
 * row is summed in column order: the same bits for every NBT_LANES, and no padding.
 *
 * Two factors may follow the parameters: w, the right factor of a rank-one estimate, and g, the
 * traces that stay inside each unit. Either may be absent (NULL). */
#ifndef NBT_SWEEP_H
#define NBT_SWEEP_H

#include <stddef.h>

#ifndef NBT_LANES
#define NBT_LANES 1
#endif

/* Matrices and sizes of one learner. cov is NULL under a Euclidean metric (P = 1), coupling unless
 * the metric is quasi-diagonal (nbt_quasi.h). */
typedef struct nbt_matrices {
    float *theta;
    float *w;
    float *g;
    float *cov;
    float *coupling;
    size_t rows;
    size_t cols;
    size_t hidden;
} nbt_matrices;

/* How w and g move, known before the pass (w) or after it (g):
 *     w <- w_scale w + u_scale_r u + g_scale_unit(r) g      u_scale or g_scale, the other NULL
 *     g <- g_keep_unit(r) g + gain_r u */
typedef struct nbt_motion {
    float w_scale;
    const float *u_scale; /* (R) nobacktrack */
    const float *g_scale; /* (H) residual */
    const float *g_keep;  /* (H) */
    const float *gain;    /* (R) */
} nbt_motion;

/* Row sums that the estimate and the filter need; P is the filter's metric, and where that is
 * quasi-diagonal, x - c x_bias takes the place of x = u, w, g in every product with P. For nobacktrack w is the
 * old one; for residual it is w_scale w + g_scale g, the new one. Pointers are NULL where the
 * factor is absent. */
typedef struct nbt_products {
    float *a;        /* (R) theta u */
    float *da;       /* (R) theta_h tangent */
    float *uu;       /* (R) sum_j P u u */
    float *wu;       /* (R) sum_j P w u */
    float *gu;       /* (R) sum_j P g u */
    float *gg;       /* (R) sum_j P g g */
    float *wg;       /* (R) sum_j P w g */
    float ww;        /* sum over all entries of P w w */
    float ww_plain;  /* sum of w w */
} nbt_products;

/* What the filter does to every parameter of row r, unit i, with the moved w and g:
 *     theta += P (step_w w + step_g_i g)
 *     P <- P / (keep + (curvature_w (w + tilt_i g)^2 + curvature_g_i g^2 + rate_floor) P)
 * The curvature is a sum of squares so that rounding cannot make it negative. */
typedef struct nbt_update {
    float step_w;
    const float *step_g;      /* (H) */
    float keep;               /* 1 - gamma */
    float curvature_w;        /* gamma alpha^T Lambda alpha */
    const float *tilt;        /* (H) */
    const float *curvature_g; /* (H) */
    float rate_floor;         /* gamma delta */
} nbt_update;

/* Index of element (row, col) in block storage. */
size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols);

/* a (R) = theta u. */
void nbt_sweep_forward(const nbt_matrices *m, float *a, const float *u);

/* All row sums for u (D) and tangent (H). */
void nbt_sweep_products(const nbt_matrices *m, nbt_products *out, const nbt_motion *motion,
                        const float *u, const float *tangent);

/* Moves w and g with the step's own u (D), then the update above, or that of nbt_quasi.h. */
void nbt_sweep_update(const nbt_matrices *m, const nbt_motion *motion, const nbt_update *update,
                      const float *u);

#endif
