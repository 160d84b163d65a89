#include "nbt_head.h"

#include "nbt_block.h"
#include "nbt_math.h"
#include "nbt_rows.h"

/* The most that a label changes U_k z. Within half a unit, the slope of tanh grows by a factor of e
 * at most, and its mean is below e - 1 < 2 times the slope of which the step was computed. So no
 * step moves the forecast further past a label than it was away from it. */
#define TURN_MAX 0.5f

/* The rows of U and of its covariance are stored in blocks, as those of Theta are
 * (nbt_matrices.h). */
static nbt_matrices head_of(const nbt_layout *l)
{
    nbt_matrices m = l->m;
    m.rows = m.hidden = l->Q;
    m.cols = l->Z;
    return m;
}

/* ---- products with z = [state; tail] --------------------------------------------------------- */

NBT_INLINE void head_product_block(size_t width, size_t k, const nbt_layout *l, float *out,
                                   const float *rows, const float *state, const float *tail,
                                   int squared)
{
    float sum[NBT_LANES] = {0};
    rows += k * l->Z;
    nbt_rows_block(width, sum, rows, state, l->E, squared);
    nbt_rows_block(width, sum, rows + l->E * width, tail, l->Z - l->E, squared);
    for (size_t lane = 0; lane < width; lane++) {
        out[k + lane] = sum[lane];
    }
}

/* out (Q) = rows (Q, Z) times z, or times the squares of z. Cost: Q Z. */
NBT_INLINE void head_product(const nbt_layout *l, float *out, const float *rows, const float *state,
                             const float *tail, int squared)
{
    nbt_matrices m = head_of(l);
#if NBT_FOUR_ROWS
    for (; m.rows >= 4; m.rows -= 4, rows += 4 * l->Z, out += 4) {
        float sum[4] = {0};
        nbt_rows_four(sum, rows, l->Z, state, l->E, squared);
        nbt_rows_four(sum, rows + l->E, l->Z, tail, l->Z - l->E, squared);
        out[0] = sum[0];
        out[1] = sum[1];
        out[2] = sum[2];
        out[3] = sum[3];
    }
#endif
#define BODY(width, row, unit) head_product_block(width, row, l, out, rows, state, tail, squared)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

NBT_LOCAL void nbt_head_forward(const nbt_layout *l, float *phi, const float *state,
                                const float *tail)
{
    float *NBT_RESTRICT slope = NBT_OF(l, head_slope);
    head_product(l, phi, NBT_OF(l, head), state, tail, 0);
    for (size_t k = 0; k < l->Q; k++) {
        phi[k] = nbt_tanh(phi[k]);
        slope[k] = 1.0f - phi[k] * phi[k];
    }
}

/* ---- slopes ---------------------------------------------------------------------------------- */

/* row (n) += sum_k through_k U_k of a block, in the order of k. */
NBT_INLINE void head_slopes_block(size_t width, float *NBT_RESTRICT row, const float *u,
                                  const float *through, size_t n)
{
    for (float *end = row + n; row != end; row++, u += width) {
        float sum = *row;
        for (size_t lane = 0; lane < width; lane++) {
            sum += through[lane] * u[lane];
        }
        *row = sum;
    }
}

#if NBT_FOUR_ROWS
/* The same of four rows. */
static void head_slopes_four(float *NBT_RESTRICT row, const float *u, size_t stride,
                             const float *through, size_t n)
{
    const float *a = u, *b = a + stride, *c = b + stride, *d = c + stride;
    float by_a = through[0], by_b = through[1], by_c = through[2], by_d = through[3];
#define COLUMN              \
    {                       \
        float sum = *row;   \
        sum += by_a * *a++; \
        sum += by_b * *b++; \
        sum += by_c * *c++; \
        sum += by_d * *d++; \
        *row = sum;         \
        row++;              \
        NBT_PIN(row);       \
        NBT_PIN(a);         \
        NBT_PIN(b);         \
        NBT_PIN(c);         \
        NBT_PIN(d);         \
    }
    NBT_REPEAT(n, COLUMN)
#undef COLUMN
}
#endif

NBT_LOCAL void nbt_head_slopes(const nbt_layout *l, float *slopes, size_t o)
{
    nbt_matrices m = head_of(l);
    const float *readout = l->readout + o * l->F, *u = NBT_OF(l, head);
    float *NBT_RESTRICT through = NBT_OF(l, head_step); /* not in use yet in this step */
    nbt_copy(slopes, readout, l->E);
    for (size_t k = 0; k < l->Q; k++) {
        through[k] = readout[l->E + k] * NBT_OF(l, head_slope)[k];
    }
#if NBT_FOUR_ROWS
    for (; m.rows >= 4; m.rows -= 4, u += 4 * l->Z, through += 4) {
        head_slopes_four(slopes, u, l->Z, through, l->E);
    }
#endif
#define BODY(width, row, unit) \
    head_slopes_block(width, slopes, u + (row) * l->Z, through + (row), l->E)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}

NBT_LOCAL void nbt_head_directions(const nbt_layout *l)
{
    float *NBT_RESTRICT square = NBT_OF(l, head_square),
                        *NBT_RESTRICT white = NBT_OF(l, head_white);
    const float *state = nbt_learning_state(l), *tail = l->u + l->E;
    if (nbt_is_kalman(l)) {
        head_product(l, square, NBT_OF(l, head_cov), state, tail, 1);
    } else {
        float all = nbt_dot(state, state, l->E) + nbt_dot(tail, tail, l->Z - l->E);
        nbt_fill(square, all, l->Q);
    }
    for (size_t k = 0; k < l->Q; k++) {
        float e = NBT_OF(l, head_slope)[k];
        square[k] *= e * e;
        for (size_t o = 0; o < l->O; o++) {
            white[k * l->O + o] = l->readout[o * l->F + l->E + k];
        }
    }
}

/* ---- the step -------------------------------------------------------------------------------- */

NBT_LOCAL void nbt_head_step(const nbt_layout *l, float gain)
{
    const float *slope = NBT_OF(l, head_slope), *square = NBT_OF(l, head_square);
    float *NBT_RESTRICT steps = NBT_OF(l, head_step);
    nbt_rows_dots(steps, NBT_OF(l, head_white), nbt_innovation(l), 0, l->Q, l->O, gain);
    for (size_t k = 0; k < l->Q; k++) {
        float step = steps[k];
        float turn = nbt_abs(step) * square[k]; /* e times the change of U_k z */
        float most = TURN_MAX * slope[k];
        steps[k] = nbt_select(turn > most, step * (most / turn), step);
    }
}

NBT_LOCAL void nbt_head_curvature(const nbt_layout *l, float gamma)
{
    const float *white = NBT_OF(l, head_white);
    nbt_rows_dots(NBT_OF(l, head_step) + l->Q, white, white, l->O, l->Q, l->O, gamma);
}

NBT_LOCAL float nbt_head_reach(const nbt_layout *l)
{
    const float *step = NBT_OF(l, head_step), *square = NBT_OF(l, head_square);
    float reach = 0.0f;
    for (size_t k = 0; k < l->Q; k++) {
        reach += (step[k] * square[k]) * step[k];
    }
    return reach;
}

NBT_LOCAL float nbt_head_bend(const nbt_layout *l)
{
    return nbt_dot(NBT_OF(l, head_step) + l->Q, NBT_OF(l, head_square), l->Q);
}

/* ---- the change ------------------------------------------------------------------------------ */

/* The columns of U by turn (nbt_kalman.h). P changes in n_turn columns from `turn` on, and in
 * column `middle`, if there is one and it `moves`; P does not change in n_rest columns from `rest`
 * on. Every step costs the same. */
typedef struct head_turn {
    size_t turn, n_turn, rest, n_rest;
    size_t middle, has_middle;
    int moves;
} head_turn;

/* Halves of the columns take turns; the middle one of an odd number belongs to the first half. */
static head_turn turn_of(const nbt_update *update, size_t Z)
{
    size_t half = Z / 2, later = Z - half;
    head_turn columns = {0, half, later, half, half, Z % 2, 1};
    if (update->stride == 1) {
        columns.n_turn = Z;
        columns.n_rest = columns.has_middle = 0;
        return columns;
    }
    columns.turn = update->first * later;
    columns.rest = later - columns.turn;
    columns.moves = update->first == 0;
    return columns;
}

/* The middle column of a block. */
NBT_INLINE void head_change_middle(size_t width, const nbt_rows_update *by, int moves,
                                   float *NBT_RESTRICT theta, float *NBT_RESTRICT p, float z)
{
    for (size_t lane = 0; lane < width; lane++) {
        float variance = p[lane], along = variance * z;
        float gained = by->curvature[lane] * (along * z) + by->rate_floor * variance;
        theta[lane] += by->step[lane] * along;
        p[lane] = nbt_select(moves, nbt_kalman_shrink(variance, by->keep, gained), variance);
    }
}

NBT_INLINE void head_change_block(size_t width, size_t k, const nbt_layout *l,
                                  const nbt_update *update, const head_turn *columns,
                                  const float *z)
{
    const float *slope = NBT_OF(l, head_slope) + k, *step = NBT_OF(l, head_step) + k;
    float *theta = NBT_OF(l, head) + k * l->Z;
    nbt_rows_update by;
    for (size_t lane = 0; lane < width; lane++) {
        by.step[lane] = step[lane] * slope[lane];
        by.curvature[lane] = step[l->Q + lane] * (slope[lane] * slope[lane]);
    }
    if (!nbt_is_kalman(l)) {
        nbt_rows_step(width, by.step, theta, z, 1, l->Z);
        return;
    }
    by.keep = update->keep;
    by.rate_floor = update->rate_floor;
    float *p = NBT_OF(l, head_cov) + k * l->Z;
    size_t turn = columns->turn, rest = columns->rest, middle = columns->middle;
    nbt_rows_change(width, 1, &by, theta + turn * width, p + turn * width, z + turn, 1,
                    columns->n_turn);
    nbt_rows_change(width, 0, &by, theta + rest * width, p + rest * width, z + rest, 1,
                    columns->n_rest);
    if (columns->has_middle) {
        head_change_middle(width, &by, columns->moves, theta + middle * width, p + middle * width,
                           z[middle]);
    }
}

NBT_OWN_FRAME NBT_LOCAL void nbt_head_change(const nbt_layout *l, const nbt_update *update)
{
    nbt_matrices m = head_of(l);
    head_turn columns = turn_of(update, l->Z);
    float *z = l->cf;
    nbt_copy(z, nbt_learning_state(l), l->E);
    nbt_copy(z + l->E, l->u + l->E, l->Z - l->E);
#define BODY(width, row, unit) head_change_block(width, row, l, update, &columns, z)
    NBT_FOR_EACH_BLOCK(&m, BODY)
#undef BODY
}
