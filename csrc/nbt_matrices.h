/* The R x D matrices of a learner, what a step changes in them, and the row sums that it needs of
 * them.
 *
 * Storage: rows are grouped in blocks of NBT_LANES rows, the rest in narrower blocks (..., 8, 4, 2,
 * 1), each stored as [column][row of the block], so a vector unit works on many rows at once while
 * every row is summed in column order: the same bits for every NBT_LANES, and no padding.
 *
 * Two factors may follow the parameters: w, the right factor of a rank-one estimate, and g, the
 * traces that stay inside each unit. Either may be absent (NULL). */
#ifndef NBT_MATRICES_H
#define NBT_MATRICES_H

#include <stddef.h>

#include "nbt_build.h"
#include "nbt_simd.h"

/* Matrices and sizes of one learner. cov is NULL under a Euclidean metric (P = 1), coupling unless
 * the metric is quasi-diagonal (nbt_quasi.h). by_unit: w holds the right factors of one rank-one
 * estimate per unit, N = H of them, instead of N = 1 for all rows. */
typedef struct nbt_matrices {
    float *theta;
    float *w;
    float *g;
    float *cov;
    float *coupling;
    size_t rows;
    size_t cols;
    size_t hidden;
    int by_unit;
} nbt_matrices;

/* What of these a learner has; constants where the build leaves no choice. */
NBT_INLINE int nbt_has_w(const nbt_matrices *m)
{
    return nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_W, m->w != NULL);
}

NBT_INLINE int nbt_has_g(const nbt_matrices *m)
{
    return nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_G, m->g != NULL);
}

NBT_INLINE int nbt_is_by_unit(const nbt_matrices *m)
{
    return nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_BY_UNIT, m->by_unit);
}

NBT_INLINE int nbt_has_cov(const nbt_matrices *m)
{
    int here = m->cov != NULL;
    return nbt_has(NBT_BUILT_filter, NBT_FILTERS_KALMAN, here) &&
           nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_LEARNING, here);
}

NBT_INLINE int nbt_has_coupling(const nbt_matrices *m)
{
    int here = m->coupling != NULL;
    return nbt_has(NBT_BUILT_filter, NBT_FILTERS_QUASI, here) &&
           nbt_has(NBT_BUILT_estimator, NBT_ESTIMATORS_LEARNING, here);
}

/* How w and g move:
 *     w <- w_scale_n w + u_scale_r u + g_scale_unit(r) g      u_scale or g_scale
 *     g <- g_keep_unit(r) g + gain_r u
 * n is 0, or unit(r) where every unit has a rank-one estimate of its own. Only those that the
 * estimator has are looked at. */
typedef struct nbt_motion {
    const float *w_scale; /* (N) */
    const float *u_scale; /* (R) nobacktrack */
    const float *g_scale; /* (H) residual, unitwise */
    const float *g_keep;  /* (H) */
    const float *gain;    /* (R) */
} nbt_motion;

/* What the filter does to every parameter of row r, unit i, with the moved w and g:
 *     theta += P (step_w_n w + step_g_i g)
 *     P <- P / (keep + (curvature_w_n (w + tilt_i g)^2 + curvature_g_i g^2 + rate_floor) P)
 * The curvature is a sum of squares so that rounding cannot make it negative. */
typedef struct nbt_update {
    const float *step_w;      /* (N) */
    const float *step_g;      /* (H) */
    float keep;               /* 1 - gamma */
    const float *curvature_w; /* (N) gamma alpha_n^T Lambda alpha_n */
    const float *tilt;        /* (H) */
    const float *curvature_g; /* (H) */
    float rate_floor;         /* gamma delta */
    size_t first;  /* P moves of the columns first, first + stride, ...: those whose turn it is */
    size_t stride; /* (nbt_kalman.h) */
} nbt_update;

/* All that a step changes in the matrices: w and g move with its u (D), then the update. */
typedef struct nbt_change {
    nbt_motion motion;
    nbt_update update;
    const float *u;
} nbt_change;

/* Row sums that the estimate and the filter need; P is the filter's metric, and where that is
 * quasi-diagonal, x - c x_bias takes the place of x = u, w, g in every product with P. Pointers are
 * NULL where the factor is absent. */
typedef struct nbt_sums {
    float *a;  /* (R) theta u */
    float *da; /* (R) theta_h tangent; not for unitwise */
    float *uu; /* (R) sum_j P u u */
    float *wu; /* (R) sum_j P w u */
    float *gu; /* (R) sum_j P g u */
    float *gg; /* (R) sum_j P g g */
    float *wg; /* (R) sum_j P w g */
    float *ww; /* (N) sum of P w w */
} nbt_sums;

/* What the sums are of. With both w and g, and one estimate for all rows (residual), w stands for
 * the moved w_scale w + g_scale g in them. */
typedef struct nbt_look {
    nbt_sums out;
    const float *u;       /* (2, D) u and its squares, which only blocks of rows look at */
    const float *tangent; /* (H) */
    const float *w_scale; /* (1) residual */
    const float *g_scale; /* (H) residual */
} nbt_look;

/* Width of the block that starts at `row`. */
NBT_INLINE size_t nbt_block_width(size_t row, size_t rows)
{
    size_t left = rows - row;
    if (NBT_LANES >= 16 && left >= 16) {
        return 16;
    }
    if (NBT_LANES >= 8 && left >= 8) {
        return 8;
    }
    if (NBT_LANES >= 4 && left >= 4) {
        return 4;
    }
    return NBT_LANES >= 4 && left >= 2 ? 2 : 1;
}

/* Index of element (row, col) in block storage. */
NBT_LOCAL size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols);

#endif
