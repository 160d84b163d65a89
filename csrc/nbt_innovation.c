#include "nbt_innovation.h"

#include "nbt_block.h"
#include "nbt_gradient.h"
#include "nbt_link.h"
#include "nbt_math.h"
#include "nbt_rtrl.h"

/* Whether S is diagonal except for one direction. */
static int is_along_one(const nbt_layout *l)
{
    return nbt_estimator(l) == NBT_EST_NOBACKTRACK && nbt_link_is_independent(l) &&
           !nbt_has_head(l);
}

/* ---- S --------------------------------------------------------------------------------------- */

/* Directions: n rows a (n, O) and b, either one row each (b_step = O), one row for all (b_step = 0)
 * or none (NULL), with the products aa, ab (n). */
typedef struct directions {
    const float *a;
    const float *b;
    size_t b_step;
    const float *aa;
    const float *ab;
    size_t n;
} directions;

/* Adds to the entries first to first + width of row i of S; those right of the diagonal are
 * skipped. A vector unit keeps the entries in registers while it goes through the directions. */
NBT_INLINE void add_entries(size_t width, float *row, size_t i, size_t first, const directions *d,
                            float gain, size_t O)
{
    size_t count = i + 1 - first < width ? i + 1 - first : width;
    float sum[NBT_LANES];
    nbt_fill(sum, 0.0f, NBT_LANES);
    nbt_copy(sum, row + first, count);
    for (size_t n = 0; n < d->n; n++) {
        const float *a = d->a + n * O;
        const float *b = d->b != NULL ? d->b + n * d->b_step : NULL;
        float aa = gain * d->aa[n];
        float ab = b != NULL ? gain * d->ab[n] : 0.0f;
        float for_a = aa * a[i] + (b != NULL ? ab * b[i] : 0.0f);
        float for_b = b != NULL ? ab * a[i] : 0.0f;
        if (b != NULL) {
            for (size_t k = 0; k < width; k++) {
                sum[k] += for_a * a[first + k] + for_b * b[first + k];
            }
        } else {
            for (size_t k = 0; k < width; k++) {
                sum[k] += for_a * a[first + k] + 0.0f;
            }
        }
    }
    nbt_copy(row + first, sum, count);
}

/* S += gain (aa a a^T + ab (a b^T + b a^T)), one direction after the other. */
static void add_directions(float *S, const directions *along, float gain, size_t O)
{
    for (size_t i = 0; i < O; S += ++i) {
        for (size_t first = 0, width = 0; first <= i; first += width) {
            width = nbt_block_width(first, O);
            switch (width) {
            case 16: add_entries(16, S, i, first, along, gain, O); break;
            case 8: add_entries(8, S, i, first, along, gain, O); break;
            case 4: add_entries(4, S, i, first, along, gain, O); break;
            case 2: add_entries(2, S, i, first, along, gain, O); break;
            default: add_entries(1, S, i, first, along, gain, O); break;
            }
        }
    }
}

/* sum + sum_n (square_n a_n) a_n. */
NBT_INLINE float add_squares_of(float sum, const float *square, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum += (square[i] * a[i]) * a[i];
    }
    return sum;
}

/* S of a single output, all directions of the learner in one loop. */
static void add_single(const nbt_layout *l, float gain)
{
    float sum = 0.0f;
    if (nbt_has_w(&l->m)) {
        sum = add_squares_of(sum, l->w_square, l->alpha, l->N);
    }
    if (nbt_has_g(&l->m)) {
        size_t C = nbt_resonators(l);
        const float *white = NBT_OF(l, white), *p = white + l->H - C, *q = white + l->H;
        sum = add_squares_of(sum, nbt_g_square(l), white, l->E);
        for (size_t i = 0; i < l->H && nbt_has_w(&l->m); i++) {
            float cross = NBT_OF(l, g_cross)[i] * l->alpha[nbt_is_by_unit(&l->m) ? i : 0];
            sum += 2.0f * (cross * white[i]);
        }
        for (size_t k = 0; k < C; k++) {
            sum += 2.0f * ((NBT_OF(l, pq_square)[k] * p[k]) * q[k]);
        }
    }
    if (nbt_has_head(l)) {
        sum = add_squares_of(sum, NBT_OF(l, head_square), NBT_OF(l, head_white), l->Q);
    }
    l->chol[0] += gain * sum;
}

/* S += gain sum_i P_i H_:i H_:i^T, whitened. */
static void add_recurrent(const nbt_layout *l, float gain)
{
    if (NBT_IS_EXACT(l)) {
        nbt_rtrl_innovate(l, l->chol, gain);
        return;
    }
    directions along = {l->alpha, NULL, 0, l->w_square, NULL, l->N};
    add_directions(l->chol, &along, gain, l->O);
    if (nbt_has_g(&l->m)) {
        along.a = NBT_OF(l, white);
        along.b = l->N == 0 ? NULL : l->alpha;
        along.b_step = nbt_is_by_unit(&l->m) ? l->O : 0;
        along.aa = nbt_g_square(l);
        along.ab = NBT_OF(l, g_cross);
        along.n = l->E - nbt_resonators(l); /* all but q */
        add_directions(l->chol, &along, gain, l->O);
    }
    if (nbt_has_g(&l->m) && nbt_resonators(l) > 0) { /* q, and p with q */
        const float *q = NBT_OF(l, white) + l->H * l->O;
        directions more = {q,
                           q - nbt_resonators(l) * l->O,
                           l->O,
                           nbt_g_square(l) + l->H,
                           NBT_OF(l, pq_square),
                           nbt_resonators(l)};
        add_directions(l->chol, &more, gain, l->O);
    }
}

NBT_LOCAL void nbt_innovation_spread(const nbt_layout *l, float c, float gain)
{
    if (is_along_one(l)) {
        nbt_link_spread_diagonal(l, l->chol, c);
        return;
    }
    nbt_link_spread(l, l->chol, c);
    if (l->O == 1 && !NBT_IS_EXACT(l)) {
        add_single(l, gain);
    } else {
        add_recurrent(l, gain);
        if (nbt_has_head(l)) {
            directions along = {NBT_OF(l, head_white), NULL, 0, NBT_OF(l, head_square), NULL, l->Q};
            add_directions(l->chol, &along, gain, l->O);
        }
    }
}

NBT_LOCAL float nbt_innovation_variance(const nbt_layout *l, float gain, size_t o)
{
    if (is_along_one(l)) {
        return l->chol[o] + (gain * l->w_square[0] * l->alpha[o]) * l->alpha[o];
    }
    return l->chol[o * (o + 1) / 2 + o];
}

/* ---- its solution ---------------------------------------------------------------------------- */

/* x (O) <- S^-1 x, S = diag(s) + strength a a^T. */
static void solve_along(const float *s, const float *a, float strength, float *x, size_t O)
{
    float ax = 0.0f;
    float aa = 0.0f;
    for (size_t i = 0; i < O; i++) {
        float weight = 1.0f / s[i];
        x[i] *= weight;
        ax += a[i] * x[i];
        aa += (a[i] * weight) * a[i];
    }
    float part = strength * ax / (1.0f + strength * aa);
    for (size_t i = 0; i < O; i++) {
        x[i] -= a[i] / s[i] * part;
    }
}

/* x (O) <- S^-1 x. */
static void solve(float *S, float *x, size_t O)
{
    float *column = S; /* (k, k), and the column below it row by row */
    for (size_t k = 0; k < O; column += k + 2, k++) {
        /* A pivot of I plus a positive semidefinite matrix is at least 1; rounding must not reduce
         * it. */
        float pivot = nbt_sqrt(*column < 1.0f ? 1.0f : *column);
        *column = pivot;
        x[k] /= pivot;
        float *below = column;
        for (size_t i = k + 1; i < O; i++) {
            below += i;
            *below /= pivot;
            x[i] -= *below * x[k];
        }
        float *row = column;
        for (size_t i = k + 1; i < O; i++) {
            row += i;
            const float *other = column;
            for (size_t j = k + 1; j <= i; j++) {
                other += j;
                row[j - k] -= *row * *other;
            }
        }
    }
    float *row = S + O * (O + 1) / 2;
    for (size_t i = O; i-- > 0;) {
        row -= i + 1;
        x[i] /= row[i];
        for (size_t k = 0; k < i; k++) {
            x[k] -= row[k] * x[i];
        }
    }
}

NBT_LOCAL void nbt_innovation_solve(const nbt_layout *l, float gain)
{
    if (is_along_one(l)) {
        solve_along(l->chol, l->alpha, gain * l->w_square[0], nbt_innovation(l), l->O);
    } else {
        solve(l->chol, nbt_innovation(l), l->O);
    }
}
