#include "nbt_sweep.h"

#include "nbt_math.h"
#include "nbt_metric.h"

/* Width of the block that starts at `row`. */
NBT_INLINE size_t block_width(size_t row, size_t rows)
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
    return 1;
}

size_t nbt_block_index(size_t row, size_t col, size_t rows, size_t cols)
{
    /* The blocks of one width lie together: at most four groups. */
    size_t start = 0;
    size_t width = block_width(0, rows);
    while (row >= start + (rows - start) / width * width) {
        start += (rows - start) / width * width;
        width = block_width(start, rows);
    }
    size_t block = start + (row - start) / width * width;
    return block * cols + col * width + (row - block);
}

/* Runs body(width, first row) over all blocks with the width as a compile-time constant. */
#define FOR_EACH_BLOCK(rows, body)                                 \
    for (size_t row = 0, width = 0; row < (rows); row += width) {  \
        width = block_width(row, (rows));                          \
        switch (width) {                                           \
        case 16: body(16, row); break;                             \
        case 8: body(8, row); break;                               \
        case 4: body(4, row); break;                               \
        default: body(1, row); break;                              \
        }                                                          \
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
    FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

/* value[unit of row + l] for the rows of a block, or 0 without values. */
NBT_INLINE void gather_units(float out[16], const float *value, size_t width, size_t row, size_t H)
{
    size_t unit = row % H;
    for (size_t l = 0; l < width; l++) {
        out[l] = value != NULL ? value[unit] : 0.0f;
        unit = unit + 1 < H ? unit + 1 : 0;
    }
}

/* The same pass with or without w, g and a metric: each combination a constant, each width too. */
NBT_INLINE void block_products(size_t width, int has_w, int has_g, int metric, size_t row,
                               const nbt_matrices *m, nbt_products *out, const nbt_motion *motion,
                               const float *u, const float *tangent)
{
    size_t offset = row * m->cols;
    float a[16] = {0}, da[16] = {0}, uu[16] = {0};
    float ww[16] = {0}, plain[16] = {0}, wu[16] = {0};
    float gg[16] = {0}, gu[16] = {0}, wg[16] = {0};
    float g_scale[16];
    if (has_w && has_g) {
        gather_units(g_scale, motion->g_scale, width, row, m->hidden);
    }
    for (size_t j = 0; j < m->cols; j++, offset += width) {
        const float *theta = m->theta + offset;
        float u_j = u[j];
        float tangent_j = has_w && j < m->hidden ? tangent[j] : 0.0f;
        for (size_t l = 0; l < width; l++) {
            float p = metric ? m->cov[offset + l] : 1.0f;
            a[l] += theta[l] * u_j;
            uu[l] += (p * u_j) * u_j;
            if (has_w) {
                float w = m->w[offset + l];
                if (has_g) {
                    w = motion->w_scale * w + g_scale[l] * m->g[offset + l];
                    wg[l] += (p * w) * m->g[offset + l];
                }
                da[l] += theta[l] * tangent_j;
                ww[l] += (p * w) * w;
                plain[l] += w * w;
                wu[l] += (p * w) * u_j;
            }
            if (has_g) {
                float pg = p * m->g[offset + l];
                gg[l] += pg * m->g[offset + l];
                gu[l] += pg * u_j;
            }
        }
    }
    for (size_t l = 0; l < width; l++) {
        out->a[row + l] = a[l];
        out->uu[row + l] = uu[l];
        if (has_w) {
            out->da[row + l] = da[l];
            out->wu[row + l] = wu[l];
            out->ww += ww[l];
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
    FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

NBT_INLINE void block_update(size_t width, int has_w, int has_g, int metric, size_t row,
                             const nbt_matrices *m, const nbt_motion *motion,
                             const nbt_update *update, const float *u)
{
    const nbt_update k = *update;
    float w_scale = motion->w_scale;
    float u_scale[16], g_scale[16], g_keep[16], gain[16], step_g[16], tilt[16], curvature_g[16];
    for (size_t l = 0; l < width; l++) {
        u_scale[l] = has_w && !has_g ? motion->u_scale[row + l] : 0.0f;
        gain[l] = has_g ? motion->gain[row + l] : 0.0f;
    }
    if (has_g) {
        gather_units(g_scale, motion->g_scale, width, row, m->hidden);
        gather_units(g_keep, motion->g_keep, width, row, m->hidden);
        gather_units(step_g, k.step_g, width, row, m->hidden);
        gather_units(tilt, k.tilt, width, row, m->hidden);
        gather_units(curvature_g, k.curvature_g, width, row, m->hidden);
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
                w_new = w_scale * w[l] + (has_g ? g_scale[l] * g[l] : u_scale[l] * u_j);
                w[l] = w_new;
                step = k.step_w * (p * w_new);
            }
            if (has_g) {
                float g_new = g_keep[l] * g[l] + gain[l] * u_j;
                float tilted = w_new + tilt[l] * g_new;
                g[l] = g_new;
                step += step_g[l] * (p * g_new);
                curvature = curvature_g[l] * ((p * g_new) * g_new);
                curvature += has_w ? k.curvature_w * ((p * tilted) * tilted) : 0.0f;
            } else {
                curvature = k.curvature_w * ((p * w_new) * w_new);
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
    FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
}

/* Calls `pass` with the presence of w, g and a metric as constants. */
#define SPECIALISED(pass, ...)                                              \
    switch ((m->w != NULL) * 4 + (m->g != NULL) * 2 + (m->cov != NULL)) {   \
    case 7: pass(1, 1, 1, __VA_ARGS__); break;                              \
    case 6: pass(1, 1, 0, __VA_ARGS__); break;                              \
    case 5: pass(1, 0, 1, __VA_ARGS__); break;                              \
    case 4: pass(1, 0, 0, __VA_ARGS__); break;                              \
    case 3: pass(0, 1, 1, __VA_ARGS__); break;                              \
    default: pass(0, 1, 0, __VA_ARGS__); break;                             \
    }

void nbt_sweep_products(const nbt_matrices *m, nbt_products *out, const nbt_motion *motion,
                        const float *u, const float *tangent)
{
    out->ww = 0.0f;
    out->ww_plain = 0.0f;
    SPECIALISED(products, m, out, motion, u, tangent)
}

void nbt_sweep_update(const nbt_matrices *m, const nbt_motion *motion, const nbt_update *update,
                      const float *u)
{
    SPECIALISED(update_all, m, motion, update, u)
}
