#include "nbt_columns.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_resonator.h"
#include "nbt_rows.h"

/* The blocks of the gated columns, which come before those of resonators. */
static nbt_matrices gated_of(const nbt_layout *l)
{
    nbt_matrices m = l->m;
    m.rows = m.hidden = l->H - nbt_resonators(l);
    return m;
}

/* Every columnar cell has two gates (NBT_CELL_LIST). A unit's row has the D columns of gate 0, then
 * those of gate 1. */
NBT_ASSERT(nbt_columns_have_two_gates, (NBT_CELLS_ALONE & ~NBT_CELLS_GATES_2) == 0 &&
                                           (NBT_CELLS_ALONE & NBT_CELLS_GATES_1) == 0 &&
                                           (NBT_CELLS_ALONE & NBT_CELLS_GATES_4) == 0);

/* The first column of a gate multiplies the state of its own unit, which differs between lanes. The
 * others multiply the tail [x; 1], which all lanes share. */
NBT_INLINE void forward_columns(size_t width, size_t unit, const nbt_layout *l, float *a,
                                const float *u)
{
    const float *theta = l->m.theta + unit * l->m.cols, *own = u + unit;
    for (size_t row = unit; row < l->R; row += l->H, theta += l->D * width) {
        float sum[NBT_LANES];
        for (size_t lane = 0; lane < width; lane++) {
            sum[lane] = theta[lane] * own[lane];
        }
        nbt_rows_block(width, sum, theta + width, u + l->E, l->Z - l->E, 0);
        for (size_t lane = 0; lane < width; lane++) {
            a[row + lane] = sum[lane];
        }
    }
}

#if NBT_FOUR_ROWS
/* The same for two units. */
static void forward_two(size_t unit, const nbt_layout *l, float *a, const float *u)
{
    size_t D = l->D;
    const float *theta = l->m.theta + unit * l->m.cols;
    float sum[4] = {theta[0] * u[unit], theta[D] * u[unit], theta[2 * D] * u[unit + 1],
                    theta[3 * D] * u[unit + 1]};
    nbt_rows_four(sum, theta + 1, D, u + l->E, D - 1, 0);
    a += unit;
    a[0] = sum[0];
    a[l->H] = sum[1];
    a[1] = sum[2];
    a[l->H + 1] = sum[3];
}
#endif

NBT_OWN_FRAME NBT_LOCAL void nbt_columns_forward(const nbt_layout *l, float *a, const float *u)
{
    nbt_matrices m = gated_of(l);
    size_t first = 0;
#if NBT_FOUR_ROWS
    for (; first + 2 <= m.rows; first += 2) {
        forward_two(first, l, a, u);
    }
    m.rows -= first;
#endif
#define BODY(width, row, unit) forward_columns(width, first + row, l, a, u)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
    if (nbt_resonators(l) > 0) {
        nbt_resonator_forward(l, a, u);
    }
}

/* The gates of a unit take turns: a label changes P of one of them (nbt_kalman.h). */
NBT_INLINE void change_columns(size_t width, size_t unit, const nbt_layout *l,
                               const nbt_update *update)
{
    size_t at = unit * l->m.cols, turn = update->first * l->D * width;
    size_t rest = l->D * width - turn;
    float *theta = l->m.theta + at;
    const float *g = l->m.g + at;
    nbt_rows_update by;
    for (size_t lane = 0; lane < width; lane++) {
        by.step[lane] = update->step_g[unit + lane];
        by.curvature[lane] = update->curvature_g[unit + lane];
    }
    if (!nbt_has_cov(&l->m)) {
        nbt_rows_step(width, by.step, theta, g, 0, l->m.cols);
        return;
    }
    by.keep = update->keep;
    by.rate_floor = update->rate_floor;
    float *p = l->m.cov + at;
    nbt_rows_change(width, 1, &by, theta + turn, p + turn, g + turn, 0, l->D);
    nbt_rows_change(width, 0, &by, theta + rest, p + rest, g + rest, 0, l->D);
}

/* The change of all gated units. */
NBT_OWN_FRAME static void change_gated(const nbt_layout *l, const nbt_update *update)
{
    nbt_matrices m = gated_of(l);
#define BODY(width, row, unit) change_columns(width, row, l, update)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

NBT_LOCAL void nbt_columns_change(const nbt_layout *l, const nbt_update *update)
{
    change_gated(l, update);
    if (nbt_resonators(l) > 0) {
        nbt_resonator_change(l, update);
    }
}

/* One weight: g <- keep g + along, where along is the gain times the input. Returns its term of sum
 * P g g. */
NBT_INLINE float advance_weight(float *g, float p, float keep, float along)
{
    float moved = keep * *g + along;
    *g = moved;
    return (p * moved) * moved;
}

/* The traces of one gate of a block. */
NBT_INLINE void advance_gate(size_t width, int metric, float *NBT_RESTRICT g, const float *p,
                             const float *keep, const float *gain, const float *own,
                             const float *tail, size_t n, float *square)
{
    for (size_t lane = 0; lane < width; lane++) {
        square[lane] +=
            advance_weight(g + lane, metric ? p[lane] : 1.0f, keep[lane], gain[lane] * own[lane]);
    }
    g += width;
    p += width;
    if (width == 1 && metric) {
        square[0] = nbt_rows_trace(g, p, tail, n, keep[0], gain[0], square[0]);
        return;
    }
    for (const float *end = tail + n; tail != end; tail++, g += width, p += width) {
        for (size_t lane = 0; lane < width; lane++) {
            square[lane] +=
                advance_weight(g + lane, metric ? p[lane] : 1.0f, keep[lane], gain[lane] * *tail);
        }
    }
}

/* metric is a constant, so that no loop over lanes has a branch. */
NBT_INLINE void advance_columns(size_t width, int metric, size_t unit, const nbt_layout *l)
{
    size_t at = unit * l->m.cols, half = l->D * width, n = l->D - 1;
    const float *theta = l->m.theta + at, *gains = nbt_gain(l) + unit, *own = l->u + unit;
    const float *p = metric ? l->m.cov + at : theta, *tail = l->u + l->E; /* p is not used without a
                                                                             metric */
    float *g = l->m.g + at;
    float keep[NBT_LANES], gain_0[NBT_LANES], gain_1[NBT_LANES], square[NBT_LANES] = {0};
    for (size_t lane = 0; lane < width; lane++) {
        gain_0[lane] = gains[lane];
        gain_1[lane] = gains[l->H + lane];
        keep[lane] = l->carry[unit + lane] + gain_0[lane] * theta[lane];
        keep[lane] = nbt_clamp(keep[lane] + gain_1[lane] * theta[half + lane], -1.0f, 1.0f);
    }
    advance_gate(width, metric, g, p, keep, gain_0, own, tail, n, square);
    advance_gate(width, metric, g + half, p + half, keep, gain_1, own, tail, n, square);
    for (size_t lane = 0; lane < width; lane++) {
        nbt_g_square(l)[unit + lane] = square[lane];
    }
}

NBT_LOCAL void nbt_columns_advance(const nbt_layout *l)
{
    nbt_matrices m = gated_of(l);
#define WITH(width, row, unit) advance_columns(width, 1, row, l)
#define WITHOUT(width, row, unit) advance_columns(width, 0, row, l)
    if (nbt_has_cov(&m)) {
        NBT_FOR_EACH_BLOCK(&m, WITH)
    } else {
        NBT_FOR_EACH_BLOCK(&m, WITHOUT)
    }
#undef WITH
#undef WITHOUT
    if (nbt_resonators(l) > 0) {
        nbt_resonator_advance(l);
    }
}
