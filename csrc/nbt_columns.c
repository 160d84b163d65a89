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

/* A column of one gate sees of u its own unit, each lane another one, or all lanes the same of the
 * tail [x; 1]: `apart` is 1 or 0. */
NBT_INLINE void add_column(size_t width, float *sum, const float *theta, const float *seen,
                           size_t apart)
{
    for (size_t lane = 0; lane < width; lane++) {
        sum[lane] += theta[lane] * seen[apart * lane];
    }
}

NBT_INLINE void forward_columns(size_t width, size_t unit, const nbt_layout *l, float *a,
                                const float *u)
{
    const float *theta = l->m.theta + unit * l->m.cols, *end = u + l->Z;
    for (size_t row = unit; row < l->R; row += l->H) {
        float sum[NBT_LANES] = {0};
        add_column(width, sum, theta, u + unit, 1);
        theta += width;
        for (const float *seen = u + l->E; seen < end; seen++, theta += width) {
            add_column(width, sum, theta, seen, 0);
        }
        nbt_copy(a + row, sum, width);
    }
}

NBT_OWN_FRAME NBT_LOCAL void nbt_columns_forward(const nbt_layout *l, float *a, const float *u)
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
    float kept = update->keep, floor = update->rate_floor;
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
    for (size_t i = 0, j = 0; i < n; i += width, j = j + 1 < l->m.cols / 2 ? j + 1 : 0) {
        int has_turn = nbt_kalman_has_turn(update, j);
        for (size_t lane = 0; lane < width; lane++) {
            float p = cov[i + lane], trace = g[i + lane], pg = p * trace;
            theta[i + lane] += step[lane] * pg;
            cov[i + lane] =
                has_turn ? nbt_kalman_shrink(p, kept, curvature[lane] * (pg * trace) + floor * p)
                         : p;
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

/* One column: g <- keep g + gain times what it sees, and what that adds to sum P g g. */
NBT_INLINE void advance_column(size_t width, int metric, float *NBT_RESTRICT g, const float *cov,
                               const float *keep, const float *gain, const float *seen,
                               size_t apart, float *square)
{
    for (size_t lane = 0; lane < width; lane++) {
        float moved = keep[lane] * g[lane] + gain[lane] * seen[apart * lane];
        float p = metric ? cov[lane] : 1.0f;
        g[lane] = moved;
        square[lane] += (p * moved) * moved;
    }
}

NBT_INLINE void advance_columns(size_t width, size_t unit, const nbt_layout *l)
{
    size_t at = unit * l->m.cols;
    int metric = nbt_has_cov(&l->m);
    const float *theta = l->m.theta + at, *end = l->u + l->Z;
    const float *cov = metric ? l->m.cov + at : l->m.theta; /* of no use without a metric */
    float *NBT_RESTRICT g = l->m.g + at;
    float keep[NBT_LANES], gain[NBT_LANES], square[NBT_LANES] = {0};
    nbt_copy(keep, l->carry + unit, width);
    for (size_t row = unit; row < l->R; row += l->H, theta += l->D * width) {
        for (size_t lane = 0; lane < width; lane++) {
            keep[lane] += nbt_gain(l)[row + lane] * theta[lane];
        }
    }
    for (size_t lane = 0; lane < width; lane++) {
        keep[lane] = nbt_clamp(keep[lane], -1.0f, 1.0f);
    }
    for (size_t row = unit; row < l->R; row += l->H) {
        nbt_copy(gain, nbt_gain(l) + row, width);
        advance_column(width, metric, g, cov, keep, gain, l->u + unit, 1, square);
        g += width;
        cov += width;
        for (const float *x = l->u + l->E; x < end; x++, g += width, cov += width) {
            advance_column(width, metric, g, cov, keep, gain, x, 0, square);
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
