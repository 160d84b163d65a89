#include "nbt_columns.h"

#include "nbt_block.h"
#include "nbt_kalman.h"
#include "nbt_math.h"
#include "nbt_resonator.h"

/* The gated columns' blocks, which come first. */
static nbt_matrices gated_of(const nbt_layout *l)
{
    nbt_matrices m = l->m;
    m.rows = m.hidden = l->H - nbt_resonators(l);
    return m;
}

/* Column j of one gate for the units of a block: what it sees of u. */
NBT_INLINE float seen_by_unit(const float *u, const float *tail, size_t j, size_t lane)
{
    return j == 0 ? u[lane] : tail[j - 1];
}

NBT_INLINE void forward_columns(size_t width, size_t unit, const nbt_layout *l, float *a,
                                const float *u)
{
    size_t H = l->H, D = l->D;
    const float *theta = l->m.theta + unit * l->m.cols, *tail = u + l->E;
    for (size_t row = unit; row < l->R; row += H) {
        float sum[NBT_LANES] = {0};
        for (size_t j = 0; j < D; j++, theta += width) {
            for (size_t lane = 0; lane < width; lane++) {
                sum[lane] += theta[lane] * seen_by_unit(u + unit, tail, j, lane);
            }
        }
        nbt_copy(a + row, sum, width);
    }
}

NBT_LOCAL void nbt_columns_forward(const nbt_layout *l, float *a, const float *u)
{
    nbt_matrices m = gated_of(l);
#define BODY(width, row, unit) forward_columns(width, row, l, a, u)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
    if (nbt_resonators(l) > 0) {
        nbt_resonator_forward(l, a, u);
    }
}

NBT_INLINE void change_columns(size_t width, size_t unit, const nbt_layout *l,
                               const nbt_update *update)
{
    size_t at = unit * l->m.cols, n = l->m.cols * width;
    float *NBT_RESTRICT theta = l->m.theta + at;
    const float *g = l->m.g + at;
    float step[NBT_LANES], curvature[NBT_LANES];
    nbt_copy(step, update->step_g + unit, width);
    nbt_copy(curvature, update->curvature_g + unit, width);
    if (!nbt_has_cov(&l->m)) {
        for (size_t i = 0; i < n; i += width) {
            for (size_t lane = 0; lane < width; lane++) {
                theta[i + lane] += step[lane] * g[i + lane];
            }
        }
        return;
    }
    float *NBT_RESTRICT cov = l->m.cov + at;
    for (size_t i = 0; i < n; i += width) {
        for (size_t lane = 0; lane < width; lane++) {
            float p = cov[i + lane], pg = p * g[i + lane];
            theta[i + lane] += step[lane] * pg;
            cov[i + lane] = nbt_kalman_shrink(
                p, update->keep, curvature[lane] * (pg * g[i + lane]) + update->rate_floor * p);
        }
    }
}

NBT_LOCAL void nbt_columns_change(const nbt_layout *l, const nbt_update *update)
{
    nbt_matrices m = gated_of(l);
#define BODY(width, row, unit) change_columns(width, row, l, update)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
    if (nbt_resonators(l) > 0) {
        nbt_resonator_change(l, update);
    }
}

NBT_INLINE void advance_columns(size_t width, size_t unit, const nbt_layout *l)
{
    size_t H = l->H, D = l->D, at = unit * l->m.cols;
    const float *u = l->u + unit, *tail = l->u + l->E, *theta = l->m.theta + at;
    const float *cov = nbt_has_cov(&l->m) ? l->m.cov + at : NULL;
    float *NBT_RESTRICT g = l->m.g + at;
    float keep[NBT_LANES], square[NBT_LANES] = {0};
    nbt_copy(keep, l->carry + unit, width);
    for (size_t row = unit; row < l->R; row += H, theta += D * width) {
        for (size_t lane = 0; lane < width; lane++) {
            keep[lane] += nbt_gain(l)[row + lane] * theta[lane];
        }
    }
    for (size_t lane = 0; lane < width; lane++) {
        keep[lane] = nbt_clamp(keep[lane], -1.0f, 1.0f);
    }
    for (size_t row = unit, i = 0; row < l->R; row += H) {
        const float *gain = nbt_gain(l) + row;
        for (size_t j = 0; j < D; j++, i += width) {
            for (size_t lane = 0; lane < width; lane++) {
                float moved =
                    keep[lane] * g[i + lane] + gain[lane] * seen_by_unit(u, tail, j, lane);
                float p = cov != NULL ? cov[i + lane] : 1.0f;
                g[i + lane] = moved;
                square[lane] += (p * moved) * moved;
            }
        }
    }
    nbt_copy(nbt_g_square(l) + unit, square, width);
}

NBT_LOCAL void nbt_columns_advance(const nbt_layout *l)
{
    nbt_matrices m = gated_of(l);
#define BODY(width, row, unit) advance_columns(width, row, l)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
    if (nbt_resonators(l) > 0) {
        nbt_resonator_advance(l);
    }
}
