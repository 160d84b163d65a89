#include "nbt_filter.h"

#include "nbt.h"
#include "nbt_block.h"
#include "nbt_build.h"
#include "nbt_math.h"

NBT_LOCAL void nbt_ud_init(float *ud, size_t n, size_t H, float prior_hidden, float prior)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < j; i++) {
            ud[i] = 0.0f;
        }
        ud[j] = j < H ? prior_hidden : prior;
        ud += j + 1;
    }
}

NBT_LOCAL float nbt_ud_project(const float *ud, float *uf, const float *f, size_t n)
{
    float variance = 0.0f;
    for (size_t j = 0; j < n; j++) {
        uf[j] = f[j] + nbt_dot(ud, f, j);
        variance += ud[j] * uf[j] * uf[j];
        ud += j + 1;
    }
    return variance;
}

/* One column of rows `first` to first + width of U, of which the first `above` are above the diagonal. */
NBT_INLINE void turn_column(size_t width, float *NBT_RESTRICT u, float *NBT_RESTRICT own, float back,
                            float gain, uint32_t above)
{
    for (uint32_t l = 0; l < width; l++) {
        float before = u[l];
        float after = before + back * own[l];
        float more = own[l] + before * gain;
        u[l] = l < above ? after : before;
        own[l] = l < above ? more : own[l];
    }
}

/* Rows `first` to first + width of U, column by column, and what they add to C f: a vector unit keeps its
 * rows of C f. Near the diagonal it works on what lies below it too, and puts back what was there. */
NBT_INLINE void turn_rows(size_t width, size_t first, float *ud, float *NBT_RESTRICT cf,
                          const float *back, size_t n)
{
    float own[NBT_LANES];
    nbt_copy(own, cf + first, width);
    size_t j = first + 1;
    size_t at = j * (j + 1) / 2 + first;
    for (; j < first + width; at += ++j) {
        turn_column(width, ud + at, own, back[j], cf[j], (uint32_t)(j - first));
    }
    for (; j < n; at += ++j) {
        turn_column(width, ud + at, own, back[j], cf[j], (uint32_t)width);
    }
    nbt_copy(cf + first, own, width);
}

NBT_LOCAL void nbt_ud_measure(float *ud, float *cf, float *uf, float weight, float *scratch, size_t n)
{
    /* The scalars of all columns first: the gain, what of C f comes off the column, what remains of d. Only
     * sums wait for one another, the divisions make loops that vectorise. */
    float *before = scratch;
    float after = 1.0f;
    for (size_t j = 0, d = 0; j < n; j++, d += j + 1) {
        float gain = ud[d] * uf[j];
        before[j] = after;
        after += weight * uf[j] * gain;
        cf[j] = gain;
    }
    for (size_t j = 0; j < n; j++) {
        uf[j] = -weight * uf[j] / before[j];
    }
    for (size_t j = 0; j + 1 < n; j++) {
        before[j] /= before[j + 1];
    }
    before[n - 1] /= after;
    for (size_t j = 0, d = 0; j < n; j++, d += j + 1) {
        ud[d] *= before[j];
    }
    for (size_t first = 0, width = 0; first < n; first += width) {
        width = nbt_block_width(first, n);
        width = width < 8 ? width : 8; /* wider ones reach further below the diagonal */
        switch (width) {
        case 8: turn_rows(8, first, ud, cf, uf, n); break;
        case 4: turn_rows(4, first, ud, cf, uf, n); break;
        case 2: turn_rows(2, first, ud, cf, uf, n); break;
        default: turn_rows(1, first, ud, cf, uf, n); break;
        }
    }
}

NBT_LOCAL void nbt_ud_forget(float *ud, size_t n, size_t H, float prior_hidden, float prior,
                             float forget)
{
    float slope_hidden = (1.0f - forget) / prior_hidden;
    float slope = (1.0f - forget) / prior;
    for (size_t j = 0; j < n; j++) {
        ud[j] /= forget + (j < H ? slope_hidden : slope) * ud[j];
        ud += j + 1;
    }
}

NBT_LOCAL int nbt_ud_is_finite(const float *ud, size_t n)
{
    int bad = 0;
    for (size_t i = 0; i < n * (n + 1) / 2; i++) {
        bad |= !nbt_is_finite(ud[i]);
    }
    return !bad;
}

NBT_LOCAL void nbt_ud_expand(const float *ud, float *C, size_t n)
{
    for (size_t i = 0; i < n * n; i++) {
        C[i] = 0.0f;
    }
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i <= k; i++) {
            float left = (i == k ? 1.0f : ud[i]) * ud[k];
            for (size_t j = 0; j <= k; j++) {
                C[i * n + j] += left * (j == k ? 1.0f : ud[j]);
            }
        }
        ud += k + 1;
    }
}

/* Entry (i, i) of F^T diag(scale) F where outputs are independent; for gaussian the scale makes it 1 on
 * labelled ones. */
static float own_term(uint32_t link, float factor)
{
    if (factor == 0.0f) {
        return 0.0f;
    }
    return link == NBT_LINK_GAUSSIAN ? 1.0f : factor * factor;
}

/* Entry (i, j) of it for every link. */
static float readout_term(uint32_t link, size_t i, size_t j, const float *factor, const float *p,
                          float p_squared)
{
    if (link == NBT_LINK_CATEGORICAL) {
        return factor[i] * factor[j] * ((i == j ? 1.0f : 0.0f) - p[i] - p[j] + p_squared);
    }
    return i != j ? 0.0f : own_term(link, factor[i]);
}

NBT_LOCAL void nbt_innovation_start(uint32_t link, float *S, const float *factor, const float *p,
                                    float c, size_t O)
{
    link = nbt_built_link(link);
    float p_squared = link == NBT_LINK_CATEGORICAL ? nbt_dot(p, p, O) : 0.0f;
    for (size_t i = 0; i < O; i++) {
        for (size_t j = 0; j <= i; j++) {
            *S++ = (i == j ? 1.0f : 0.0f) + c * readout_term(link, i, j, factor, p, p_squared);
        }
    }
}

NBT_LOCAL void nbt_innovation_diagonal(uint32_t link, float *s, const float *factor, float c, size_t O)
{
    link = nbt_built_link(link);
    for (size_t i = 0; i < O; i++) {
        s[i] = 1.0f + c * own_term(link, factor[i]);
    }
}

NBT_LOCAL void nbt_innovation_solve_along(const float *s, const float *a, float strength, float *x,
                                          size_t O)
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

/* Entries `first` to first + width of row i of S, those right of the diagonal left out: a vector unit keeps
 * them while it goes through the directions. */
NBT_INLINE void add_entries(size_t width, float *row, size_t i, size_t first, const nbt_directions *d,
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

NBT_LOCAL void nbt_innovation_add(float *S, const nbt_directions *directions, float gain, size_t O)
{
    for (size_t i = 0; i < O; S += ++i) {
        for (size_t first = 0, width = 0; first <= i; first += width) {
            width = nbt_block_width(first, O);
            switch (width) {
            case 16: add_entries(16, S, i, first, directions, gain, O); break;
            case 8: add_entries(8, S, i, first, directions, gain, O); break;
            case 4: add_entries(4, S, i, first, directions, gain, O); break;
            case 2: add_entries(2, S, i, first, directions, gain, O); break;
            default: add_entries(1, S, i, first, directions, gain, O); break;
            }
        }
    }
}

NBT_LOCAL void nbt_innovation_solve(float *S, float *x, size_t O)
{
    float *column = S; /* (k, k) and, a row further on each time, what is below it */
    for (size_t k = 0; k < O; column += k + 2, k++) {
        /* A pivot of I plus a non-negative matrix is at least 1; rounding must not hide it. */
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
