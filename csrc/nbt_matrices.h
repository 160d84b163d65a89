/* The R x D matrices of a learner, the change that a step makes to them, and the row sums that a
 * step needs.
 *
 * Storage: rows are grouped in blocks of NBT_LANES rows, the rest in narrower blocks (..., 8, 4, 2,
 * 1). A block is stored as [column][row of the block] without padding. A vector unit thus processes
 * many rows at once, and every row is summed in column order, so the bits are the same for every
 * NBT_LANES.
 *
 * Two factors may follow the parameters: w, the right factor of a rank-one estimate, and g, the
 * traces that stay inside each unit. Either may be absent (NULL). */
#ifndef NBT_MATRICES_H
#define NBT_MATRICES_H

#include <stddef.h>

#include "nbt_build.h"
#include "nbt_simd.h"

/* Matrices and sizes of one learner. cov is NULL under a Euclidean metric (P = 1); coupling is NULL
 * unless the metric is quasi-diagonal (nbt_quasi.h). by_unit: w holds the right factors of one
 * rank-one estimate per unit, N = H of them, instead of N = 1 for all rows. */
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

/* The factors that a learner has; constants where the build leaves no choice. */
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
 * n is 0, or unit(r) if every unit has its own rank-one estimate. Only the fields of the
 * estimator's factors are read. */
typedef struct nbt_motion {
    const float *w_scale; /* (N) */
    const float *u_scale; /* (R) nobacktrack */
    const float *g_scale; /* (H) residual, unitwise */
    const float *g_keep;  /* (H) */
    const float *gain;    /* (R) */
} nbt_motion;

/* The step of the filter for every parameter of row r, unit i, with w and g after their motion:
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
    size_t first;  /* P changes in the columns first, first + stride, ...: those that have their
                      turn */
    size_t stride; /* (nbt_kalman.h) */
} nbt_update;

/* The change of the matrices in one step: w and g move with its u (D), then the update. */
typedef struct nbt_change {
    nbt_motion motion;
    nbt_update update;
    const float *u;
} nbt_change;

/* The row sums that the estimate and the filter need. P is the filter's metric; if it is
 * quasi-diagonal, x - c x_bias replaces x = u, w, g in every product with P. Pointers are NULL if
 * the factor is absent. */
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

/* The vectors of the sums. With both w and g and one estimate for all rows (residual), w in the
 * sums means the moved w_scale w + g_scale g. */
typedef struct nbt_look {
    nbt_sums out;
    const float *u;       /* (2, D) u and its squares; the squares are used by blocks of several
                             rows */
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
