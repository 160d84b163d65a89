#include "nbt_sweep.h"

#include "nbt_math.h"

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
    size_t start = 0;
    size_t width = block_width(0, rows);
    while (row >= start + width) {
        start += width;
        width = block_width(start, rows);
    }
    return start * cols + col * width + (row - start);
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

NBT_INLINE void block_products(size_t width, int metric, size_t row, const nbt_matrices *m,
                               nbt_products *out, const float *u, const float *v)
{
    size_t offset = row * m->cols;
    float a[16] = {0}, da[16] = {0}, ww[16] = {0}, plain[16] = {0}, wu[16] = {0}, uu[16] = {0};
    for (size_t j = 0; j < m->cols; j++, offset += width) {
        const float *theta = m->theta + offset;
        const float *w = m->w + offset;
        const float *cov = metric ? m->cov + offset : NULL;
        float v_j = j < m->hidden ? v[j] : 0.0f;
        for (size_t l = 0; l < width; l++) {
            float pw = metric ? cov[l] * w[l] : w[l];
            float pu = metric ? cov[l] * u[j] : u[j];
            a[l] += theta[l] * u[j];
            da[l] += theta[l] * v_j;
            ww[l] += pw * w[l];
            plain[l] += w[l] * w[l];
            wu[l] += pw * u[j];
            uu[l] += pu * u[j];
        }
    }
    for (size_t l = 0; l < width; l++) {
        out->a[row + l] = a[l];
        out->da[row + l] = da[l];
        out->wu[row + l] = wu[l];
        out->uu[row + l] = uu[l];
        out->ww += ww[l];
        out->ww_plain += plain[l];
    }
}

void nbt_sweep_products(const nbt_matrices *m, nbt_products *out, const float *u, const float *v)
{
    out->ww = 0.0f;
    out->ww_plain = 0.0f;
    if (m->cov != NULL) {
#define BODY(width, row) block_products(width, 1, row, m, out, u, v)
        FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
    } else {
#define BODY(width, row) block_products(width, 0, row, m, out, u, v)
        FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
    }
}

NBT_INLINE void block_update(size_t width, int metric, size_t row, const nbt_matrices *m,
                             const nbt_update *update, const float *u)
{
    const nbt_update k = *update;
    const float *u_scale = k.u_scale + row;
    size_t offset = row * m->cols;
    for (size_t j = 0; j < m->cols; j++, offset += width) {
        float *NBT_RESTRICT theta = m->theta + offset;
        float *NBT_RESTRICT w = m->w + offset;
        float *NBT_RESTRICT cov = metric ? m->cov + offset : NULL;
        for (size_t l = 0; l < width; l++) {
            float w_new = k.w_scale * w[l] + u_scale[l] * u[j];
            float pw = metric ? cov[l] * w_new : w_new;
            w[l] = w_new;
            theta[l] += k.step * pw;
            if (metric) {
                /* (P w) w stays finite where w w would not. */
                cov[l] /= k.keep + (k.rate_curvature * (pw * w_new) + k.rate_floor * cov[l]);
            }
        }
    }
}

void nbt_sweep_update(const nbt_matrices *m, const nbt_update *update, const float *u)
{
    if (m->cov != NULL) {
#define BODY(width, row) block_update(width, 1, row, m, update, u)
        FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
    } else {
#define BODY(width, row) block_update(width, 0, row, m, update, u)
        FOR_EACH_BLOCK(m->rows, BODY)
#undef BODY
    }
}
