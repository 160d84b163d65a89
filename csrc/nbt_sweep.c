#include "nbt_sweep.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_metric.h"
#include "nbt_quasi.h"

size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols)
{
    /* The blocks of one width lie together: at most four groups. */
    size_t start = 0;
    size_t width = nbt_block_width(0, rows);
    while (row >= start + (rows - start) / width * width) {
        start += (rows - start) / width * width;
        width = nbt_block_width(start, rows);
    }
    size_t block = start + (row - start) / width * width;
    return block * cols + col * width + (row - block);
}

NBT_INLINE void block_forward(size_t width, size_t row, const nbt_matrices *m, float *a,
                              const float *u)
{
    const float *theta = m->theta + row * m->cols;
    float sum[16] = {0};
    for (size_t j = 0; j < m->cols; j++, theta += width) {
        for (size_t l = 0; l < width; l++) {
            sum[l] += theta[l] * u[j];
        }
    }
    for (size_t l = 0; l < width; l++) {
        a[row + l] = sum[l];
    }
}

void nbt_sweep_forward(const nbt_matrices *m, float *a, const float *u)
{
#define BODY(width, row) block_forward(width, row, m, a, u)
    NBT_FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

void nbt_sweep_jacobian(const nbt_matrices *m, float *jt, const float *gain)
{
    size_t H = m->hidden;
    for (size_t row = 0, width = 0; row < m->rows; row += width) {
        width = nbt_block_width(row, m->rows);
        const float *theta = m->theta + row * m->cols;
        for (size_t col = 0; col < H; col++, theta += width) {
            for (size_t l = 0, unit = row % H; l < width; l++, unit = unit + 1 < H ? unit + 1 : 0) {
                jt[col * H + unit] += gain[row + l] * theta[l];
            }
        }
    }
}

/* x~ = x - c x_bias under the quasi-diagonal metric, x itself otherwise. */
NBT_INLINE float without_bias(int metric, float x, float c, float x_bias)
{
    return metric == NBT_METRIC_QUASI ? x - c * x_bias : x;
}

/* The same pass with or without w and g and for each metric: a constant each, and so the width. */
NBT_INLINE void block_products(size_t width, int has_w, int has_g, int metric, size_t row,
                               const nbt_matrices *m, nbt_products *out, const nbt_motion *motion,
                               const float *u, const float *tangent)
{
    size_t offset = row * m->cols;
    float a[16] = {0}, da[16] = {0}, uu[16] = {0};
    float ww[16] = {0}, plain[16] = {0}, wu[16] = {0};
    float gg[16] = {0}, gu[16] = {0}, wg[16] = {0};
    int moves = has_w == NBT_W_SHARED && has_g; /* residual */
    float w_scale = moves ? motion->w_scale[0] : 1.0f;
    float g_scale[16];
    float w_bias[16] = {0}, g_bias[16] = {0};
    if (moves) {
        nbt_block_gather(g_scale, motion->g_scale, width, row, m->hidden);
    }
    for (size_t l = 0; metric == NBT_METRIC_QUASI && l < width; l++) {
        size_t bias = offset + (m->cols - 1) * width + l;
        g_bias[l] = has_g ? m->g[bias] : 0.0f;
        w_bias[l] = has_w ? m->w[bias] : 0.0f;
        if (moves) {
            w_bias[l] = w_scale * w_bias[l] + g_scale[l] * g_bias[l];
        }
    }
    for (size_t j = 0; j < m->cols; j++, offset += width) {
        const float *theta = m->theta + offset;
        float u_j = u[j];
        float tangent_j = has_w == NBT_W_SHARED && j < m->hidden ? tangent[j] : 0.0f;
        for (size_t l = 0; l < width; l++) {
            float p = metric ? m->cov[offset + l] : 1.0f;
            float c = metric == NBT_METRIC_QUASI ? m->coupling[offset + l] : 0.0f;
            float u_own = without_bias(metric, u_j, c, 1.0f);
            float g = has_g ? m->g[offset + l] : 0.0f;
            float g_own = without_bias(metric, g, c, g_bias[l]);
            a[l] += theta[l] * u_j;
            uu[l] += (p * u_own) * u_own;
            if (has_w) {
                float w = m->w[offset + l];
                if (moves) {
                    w = w_scale * w + g_scale[l] * g;
                }
                float w_own = without_bias(metric, w, c, w_bias[l]);
                if (has_g) {
                    wg[l] += (p * w_own) * g_own;
                }
                if (has_w == NBT_W_SHARED) {
                    da[l] += theta[l] * tangent_j;
                    plain[l] += w * w;
                }
                ww[l] += (p * w_own) * w_own;
                wu[l] += (p * w_own) * u_own;
            }
            if (has_g) {
                gg[l] += (p * g_own) * g_own;
                gu[l] += (p * g_own) * u_own;
            }
        }
    }
    for (size_t l = 0; l < width; l++) {
        out->a[row + l] = a[l];
        out->uu[row + l] = uu[l];
        if (has_w) {
            out->wu[row + l] = wu[l];
            out->ww[has_w == NBT_W_BY_UNIT ? (row + l) % m->hidden : 0] += ww[l];
        }
        if (has_w == NBT_W_SHARED) {
            out->da[row + l] = da[l];
            out->ww_plain += plain[l];
        }
        if (has_g) {
            out->gg[row + l] = gg[l];
            out->gu[row + l] = gu[l];
        }
        if (has_w && has_g) {
            out->wg[row + l] = wg[l];
        }
    }
}

NBT_INLINE void products(int has_w, int has_g, int metric, const nbt_matrices *m, nbt_products *out,
                         const nbt_motion *motion, const float *u, const float *tangent)
{
#define BODY(width, row) \
    block_products(width, has_w, has_g, metric, row, m, out, motion, u, tangent)
    NBT_FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

NBT_INLINE void block_update(size_t width, int has_w, int has_g, int metric, size_t row,
                             const nbt_matrices *m, const nbt_motion *motion,
                             const nbt_update *update, const float *u)
{
    const nbt_update k = *update;
    float w_scale[16], step_w[16], curvature_w[16];
    float u_scale[16], g_scale[16], g_keep[16], gain[16], step_g[16], tilt[16], curvature_g[16];
    for (size_t l = 0; l < width; l++) {
        u_scale[l] = has_w && !has_g ? motion->u_scale[row + l] : 0.0f;
        gain[l] = has_g ? motion->gain[row + l] : 0.0f;
    }
    nbt_block_gather_w(w_scale, motion->w_scale, has_w, width, row, m->hidden);
    nbt_block_gather_w(step_w, k.step_w, has_w, width, row, m->hidden);
    nbt_block_gather_w(curvature_w, k.curvature_w, has_w, width, row, m->hidden);
    if (has_g) {
        nbt_block_gather(g_scale, motion->g_scale, width, row, m->hidden);
        nbt_block_gather(g_keep, motion->g_keep, width, row, m->hidden);
        nbt_block_gather(step_g, k.step_g, width, row, m->hidden);
        nbt_block_gather(tilt, k.tilt, width, row, m->hidden);
        nbt_block_gather(curvature_g, k.curvature_g, width, row, m->hidden);
    }
    size_t offset = row * m->cols;
    for (size_t j = 0; j < m->cols; j++, offset += width) {
        float *NBT_RESTRICT theta = m->theta + offset;
        float *NBT_RESTRICT w = has_w ? m->w + offset : NULL;
        float *NBT_RESTRICT g = has_g ? m->g + offset : NULL;
        float *NBT_RESTRICT cov = metric ? m->cov + offset : NULL;
        float u_j = u[j];
        for (size_t l = 0; l < width; l++) {
            float p = metric ? cov[l] : 1.0f;
            float step = 0.0f;
            float curvature = 0.0f; /* times P; (P w) stays finite where w w would not */
            float w_new = 0.0f;
            if (has_w) {
                w_new = w_scale[l] * w[l] + (has_g ? g_scale[l] * g[l] : u_scale[l] * u_j);
                w[l] = w_new;
                step = step_w[l] * (p * w_new);
            }
            if (has_g) {
                float g_new = g_keep[l] * g[l] + gain[l] * u_j;
                float tilted = w_new + tilt[l] * g_new;
                g[l] = g_new;
                step += step_g[l] * (p * g_new);
                curvature = curvature_g[l] * ((p * g_new) * g_new);
                curvature += has_w ? curvature_w[l] * ((p * tilted) * tilted) : 0.0f;
            } else {
                curvature = curvature_w[l] * ((p * w_new) * w_new);
            }
            theta[l] += step;
            if (metric) {
                cov[l] = nbt_metric_shrink(p, k.keep, curvature + k.rate_floor * p);
            }
        }
    }
}

NBT_INLINE void update_all(int has_w, int has_g, int metric, const nbt_matrices *m,
                           const nbt_motion *motion, const nbt_update *update, const float *u)
{
#define BODY(width, row) block_update(width, has_w, has_g, metric, row, m, motion, update, u)
    NBT_FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

void nbt_sweep_products(const nbt_matrices *m, nbt_products *out, const nbt_motion *motion,
                        const float *u, const float *tangent)
{
    for (size_t n = 0; n < (m->by_unit ? m->hidden : 1) && m->w != NULL; n++) {
        out->ww[n] = 0.0f;
    }
    out->ww_plain = 0.0f;
    if (m->cov == NULL) {
        NBT_WITH_FACTORS(products, NBT_METRIC_NONE, m, out, motion, u, tangent)
    } else if (m->coupling == NULL) {
        NBT_WITH_FACTORS(products, NBT_METRIC_DIAGONAL, m, out, motion, u, tangent)
    } else {
        NBT_WITH_FACTORS(products, NBT_METRIC_QUASI, m, out, motion, u, tangent)
    }
}

void nbt_sweep_update(const nbt_matrices *m, const nbt_motion *motion, const nbt_update *update,
                      const float *u)
{
    if (m->cov == NULL) {
        NBT_WITH_FACTORS(update_all, NBT_METRIC_NONE, m, motion, update, u)
    } else if (m->coupling == NULL) {
        NBT_WITH_FACTORS(update_all, NBT_METRIC_DIAGONAL, m, motion, update, u)
    } else {
        nbt_quasi_update(m, motion, update, u);
    }
}
