#include "nbt_ud.h"

#include "nbt_block.h"
#include "nbt_math.h"

/* Whether to add entries up to see that all are finite. Where a library adds floats, looking at
 * their exponents afterwards is cheaper. */
#define SUMS_UP NBT_SQRT_INSTRUCTION

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

/* U after a measurement, and C f. back (n): what comes off each column for C f; cf holds the gains.
 * Every row sums C f up in the order of the columns. Returns the sum of all entries of U (with
 * lanes some more than once), which is finite only if each of them is. */
#if NBT_LANES > 1

/* One column of rows `first` to first + width of U, of which the first `above` are above the
 * diagonal. */
NBT_INLINE void turn_column(size_t width, float *NBT_RESTRICT u, float *NBT_RESTRICT own,
                            float *NBT_RESTRICT sum, float back, float gain, uint32_t above)
{
    for (uint32_t lane = 0; lane < width; lane++) {
        float before = u[lane];
        float after = before + back * own[lane];
        float more = own[lane] + before * gain;
        u[lane] = lane < above ? after : before;
        own[lane] = lane < above ? more : own[lane];
        sum[lane] += SUMS_UP ? u[lane] : 0.0f;
    }
}

/* Rows `first` to first + width of U, column by column, and what they add to C f: a vector unit
 * keeps its rows of C f. Near the diagonal it works on what lies below it too, and puts back what
 * was there. Returns the sum of all that it has seen. */
NBT_INLINE float turn_rows(size_t width, size_t first, float *ud, float *NBT_RESTRICT cf,
                           const float *back, size_t n)
{
    float own[NBT_LANES], sum[NBT_LANES] = {0}, total = 0.0f;
    nbt_copy(own, cf + first, width);
    size_t j = first + 1;
    size_t at = j * (j + 1) / 2 + first;
    for (; j < first + width; at += ++j) {
        turn_column(width, ud + at, own, sum, back[j], cf[j], (uint32_t)(j - first));
    }
    for (; j < n; at += ++j) {
        turn_column(width, ud + at, own, sum, back[j], cf[j], (uint32_t)width);
    }
    nbt_copy(cf + first, own, width);
    for (size_t lane = 0; lane < width; lane++) {
        total += sum[lane];
    }
    return total;
}

static float turn_all(float *ud, float *cf, const float *back, size_t n)
{
    float sum = 0.0f;
    for (size_t first = 0, width = 0; first < n; first += width) {
        width = nbt_block_width(first, n);
        width = width < 8 ? width : 8; /* wider ones reach further below the diagonal */
        switch (width) {
        case 8: sum += turn_rows(8, first, ud, cf, back, n); break;
        case 4: sum += turn_rows(4, first, ud, cf, back, n); break;
        case 2: sum += turn_rows(2, first, ud, cf, back, n); break;
        default: sum += turn_rows(1, first, ud, cf, back, n); break;
        }
    }
    return sum;
}

#else

/* One entry of a column of U, and what it adds to its row of C f. */
NBT_INLINE void turn_entry(float *u, float *NBT_RESTRICT own, float *NBT_RESTRICT sum, float back,
                           float gain)
{
    float before = *u, after = before + back * *own;
    *u = after;
    *own += before * gain;
    if (SUMS_UP) {
        *sum += after;
    }
}

#ifndef __OPTIMIZE_SIZE__

/* Four rows from `first` on, in registers: what a column brings is read once for all of them. */
static float turn_four(size_t first, float *ud, float *NBT_RESTRICT cf, const float *back, size_t n)
{
    float c0 = cf[first], c1 = cf[first + 1], c2 = cf[first + 2], c3 = cf[first + 3], sum = 0.0f;
    size_t j = first + 1, at = j * (j + 1) / 2 + first;
    turn_entry(ud + at, &c0, &sum, back[j], cf[j]);
    at += ++j;
    turn_entry(ud + at, &c0, &sum, back[j], cf[j]);
    turn_entry(ud + at + 1, &c1, &sum, back[j], cf[j]);
    at += ++j;
    turn_entry(ud + at, &c0, &sum, back[j], cf[j]);
    turn_entry(ud + at + 1, &c1, &sum, back[j], cf[j]);
    turn_entry(ud + at + 2, &c2, &sum, back[j], cf[j]);
    for (at += ++j; j < n; at += ++j) {
        float *u = ud + at, b = back[j], gain = cf[j];
        turn_entry(u, &c0, &sum, b, gain);
        turn_entry(u + 1, &c1, &sum, b, gain);
        turn_entry(u + 2, &c2, &sum, b, gain);
        turn_entry(u + 3, &c3, &sum, b, gain);
    }
    cf[first] = c0;
    cf[first + 1] = c1;
    cf[first + 2] = c2;
    cf[first + 3] = c3;
    return sum;
}

#endif

static float turn_all(float *ud, float *NBT_RESTRICT cf, const float *back, size_t n)
{
    float sum = 0.0f;
    size_t row = 0;
#ifndef __OPTIMIZE_SIZE__
    for (; row + 4 <= n; row += 4) {
        sum += turn_four(row, ud, cf, back, n);
    }
#endif
    for (; row < n; row++) {
        float own = cf[row];
        size_t j = row + 1;
        for (size_t at = j * (j + 1) / 2 + row; j < n; at += ++j) {
            turn_entry(ud + at, &own, &sum, back[j], cf[j]);
        }
        cf[row] = own;
    }
    return sum;
}

#endif

NBT_LOCAL float nbt_ud_measure(float *ud, float *cf, float *uf, float weight, float *scratch,
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
    return turn_all(ud, cf, uf, n);
}

NBT_LOCAL int nbt_ud_forget(float *ud, size_t n, size_t H, float prior_hidden, float prior,
                            float forget, float sum)
{
    float slope_hidden = (1.0f - forget) / prior_hidden;
    float slope = (1.0f - forget) / prior;
    for (size_t j = 0, d = 0; j < n; j++, d += j + 1) {
        ud[d] /= forget + (j < H ? slope_hidden : slope) * ud[d];
        sum += SUMS_UP ? ud[d] : 0.0f;
    }
    /* Nearly always the sum says it all: it is finite only if every summand is. */
    return (SUMS_UP && nbt_is_finite(sum)) || nbt_ud_is_finite(ud, n);
}

NBT_LOCAL void nbt_ud_move(float *ud, size_t n, size_t first, size_t step, size_t count, float a,
                           float b)
{
    float shift = b / a;
    for (size_t j = 0; j < n; ud += ++j) {
        int moves = 0; /* is j one of the positions */
        float sum = 0.0f;
        for (size_t k = 0, i = first; k < count && i <= j; k++, i += step) {
            moves |= i == j;
            sum += i == j ? shift : ud[i] * shift;
            if (i < j) {
                ud[i] /= a;
            }
        }
        if (j > 0) {
            ud[0] -= sum;
        }
        for (size_t i = 0; i < j && moves; i++) {
            ud[i] *= a;
        }
        ud[j] = moves ? nbt_clamp(ud[j] / a / a, 1e-12f, 1e12f) : ud[j];
    }
}

NBT_LOCAL void nbt_ud_constant_first(float *to, const float *from, size_t n, size_t H)
{
    to[0] = from[n - 1];
    nbt_copy(to + 1, from + H, n - 1 - H);
    nbt_copy(to + n - H, from, H);
}

NBT_LOCAL void nbt_ud_constant_last(float *to, const float *from, size_t n, size_t H)
{
    nbt_copy(to, from + n - H, H);
    nbt_copy(to + H, from + 1, n - 1 - H);
    to[n - 1] = from[0];
}

NBT_LOCAL int nbt_ud_is_finite(const float *ud, size_t n)
{
    uint32_t bad = 0; /* an exponent of all ones carries into the sign's place */
    for (size_t i = 0; i < n * (n + 1) / 2; i++) {
        bad |= (nbt_bits(ud[i]) & 0x7fffffffu) + 0x00800000u;
    }
    return bad >> 31 == 0;
}

/* Place in [h; x; 1] of position i in [1; x; h]. */
static size_t place_of(size_t i, size_t n, size_t H)
{
    return H == n ? i : i == 0 ? n - 1 : i < n - H ? H + i - 1 : i - (n - H);
}

NBT_LOCAL void nbt_ud_expand(const float *ud, float *C, size_t n, size_t H)
{
    for (size_t i = 0; i < n * n; i++) {
        C[i] = 0.0f;
    }
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i <= k; i++) {
            float left = (i == k ? 1.0f : ud[i]) * ud[k];
            for (size_t j = 0; j <= k; j++) {
                C[place_of(i, n, H) * n + place_of(j, n, H)] += left * (j == k ? 1.0f : ud[j]);
            }
        }
        ud += k + 1;
    }
}
