#include "nbt_ud.h"

#include "nbt_block.h"
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

/* One column of rows `first` to first + width of U, of which the first `above` are above the
 * diagonal. */
NBT_INLINE void turn_column(size_t width, float *NBT_RESTRICT u, float *NBT_RESTRICT own,
                            float back, float gain, uint32_t above)
{
    for (uint32_t lane = 0; lane < width; lane++) {
        float before = u[lane];
        float after = before + back * own[lane];
        float more = own[lane] + before * gain;
        u[lane] = lane < above ? after : before;
        own[lane] = lane < above ? more : own[lane];
    }
}

/* Rows `first` to first + width of U, column by column, and what they add to C f: a vector unit
 * keeps its rows of C f. Near the diagonal it works on what lies below it too, and puts back what
 * was there. */
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

NBT_LOCAL void nbt_ud_measure(float *ud, float *cf, float *uf, float weight, float *scratch,
                              size_t n)
{
    /* The scalars of all columns first: the gain, what of C f comes off the column, what remains of
     * d. Only sums wait for one another, the divisions make loops that vectorise. */
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
