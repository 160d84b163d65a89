#include "nbt_ud.h"

#include "nbt_block.h"
#include "nbt_math.h"

/* Whether whole loops are written out where that takes fewer instructions. */
#ifdef __OPTIMIZE_SIZE__
#define UNROLLS 0
#else
#define UNROLLS 1
#endif

NBT_LOCAL void nbt_ud_init(float *ud, size_t n, const nbt_ud_prior *prior)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < j; i++) {
            ud[i] = 0.0f;
        }
        ud[j] = j < prior->first ? prior->head : prior->tail;
        ud += j + 1;
    }
}

/* ---- U^T f ----------------------------------------------------------------------------------- */

/* A sum of u_i f_i: four partial sums over i mod 4, then pairwise. Part of the numeric contract. */
#if UNROLLS
typedef struct quad {
    float a;
    float b;
    float c;
    float d;
} quad;

/* Four rows more. */
NBT_INLINE void add_four(quad *sum, const float *u, float f0, float f1, float f2, float f3)
{
    sum->a += u[0] * f0;
    sum->b += u[1] * f1;
    sum->c += u[2] * f2;
    sum->d += u[3] * f3;
}

/* The whole sum, with n < 4 rows more. */
NBT_INLINE float add_rest(quad sum, const float *u, const float *f, size_t n)
{
    if (n > 0) {
        sum.a += u[0] * f[0];
    }
    if (n > 1) {
        sum.b += u[1] * f[1];
    }
    if (n > 2) {
        sum.c += u[2] * f[2];
    }
    return (sum.a + sum.c) + (sum.b + sum.d);
}

static float column_dot(const float *u, const float *f, size_t n)
{
    quad sum = {0.0f, 0.0f, 0.0f, 0.0f};
    for (; n >= 4; n -= 4, u += 4, f += 4) {
        add_four(&sum, u, f[0], f[1], f[2], f[3]);
    }
    return add_rest(sum, u, f, n);
}
#else
static float column_dot(const float *u, const float *f, size_t n)
{
    float part[4];
    for (size_t k = 0; k < 4; k++) {
        float sum = 0.0f;
        for (size_t i = k; i < n; i += 4) {
            sum += u[i] * f[i];
        }
        part[k] = sum;
    }
    return (part[0] + part[2]) + (part[1] + part[3]);
}
#endif

/* What a column whose d is `d` adds to f^T C f. */
NBT_INLINE float add_variance(float variance, float d, float b)
{
    return variance + d * b * b;
}

#if UNROLLS

/* Columns j to j + 3, j a multiple of 4: f is read once for all of them, and above row j there are
 * no rows left over. */
NBT_INLINE_LANES float four_columns(const float *u, const float *f, float *b, size_t j,
                                    float variance)
{
    const float *u1 = u + j + 1, *u2 = u1 + j + 2, *u3 = u2 + j + 3, *end = f + j;
    quad s0 = {0.0f, 0.0f, 0.0f, 0.0f}, s1 = s0, s2 = s0, s3 = s0;
    for (; f < end; f += 4, u += 4, u1 += 4, u2 += 4, u3 += 4) {
        float f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3];
        add_four(&s0, u, f0, f1, f2, f3);
        add_four(&s1, u1, f0, f1, f2, f3);
        add_four(&s2, u2, f0, f1, f2, f3);
        add_four(&s3, u3, f0, f1, f2, f3);
    }
    float f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], rows[4] = {f0, f1, f2, f3};
    float b0 = f0 + add_rest(s0, u, rows, 0), b1 = f1 + add_rest(s1, u1, rows, 1);
    float b2 = f2 + add_rest(s2, u2, rows, 2), b3 = f3 + add_rest(s3, u3, rows, 3);
    b[0] = b0;
    b[1] = b1;
    b[2] = b2;
    b[3] = b3;
    variance = add_variance(add_variance(variance, u[0], b0), u1[1], b1);
    return add_variance(add_variance(variance, u2[2], b2), u3[3], b3);
}

#endif

NBT_LOCAL float nbt_ud_project(const float *ud, float *b, const float *f, size_t n)
{
    float variance = 0.0f;
    size_t j = 0;
#if UNROLLS
    for (; j + 4 <= n; ud += 4 * j + 10, j += 4) {
        variance = four_columns(ud, f, b + j, j, variance);
    }
#endif
    for (; j < n; ud += ++j) {
        b[j] = f[j] + column_dot(ud, f, j);
        variance = add_variance(variance, ud[j], b[j]);
    }
    return variance;
}

/* ---- the scalars of the columns -------------------------------------------------------------- */

NBT_LOCAL void nbt_ud_gains(float *ud, float *gain, float *b, float weight,
                            const nbt_ud_prior *prior, float forget, size_t n)
{
    float slope_head = (1.0f - forget) / prior->head;
    float slope_tail = (1.0f - forget) / prior->tail;
    float sum = 1.0f; /* A */
    float *d = ud;
    /* Only the sums wait for one another; a vector unit divides for its lanes at once. */
    for (size_t first = 0, count = 0; first < n; first += count) {
        float own[NBT_LANES], before[NBT_LANES], after[NBT_LANES];
        float *from = d;
        count = n - first < NBT_LANES ? n - first : NBT_LANES;
        for (size_t k = 0; k < count; k++) {
            float along = b[first + k], scaled = weight * along;
            own[k] = *d;
            before[k] = sum;
            sum += (scaled * along) * *d;
            after[k] = sum;
            gain[first + k] = along;
            b[first + k] = scaled;
            d += first + k + 2;
        }
        for (size_t k = 0; k < count; k++) {
            float share = own[k] / after[k], left = share * before[k];
            gain[first + k] *= share;
            own[k] = left / (forget + (first + k < prior->first ? slope_head : slope_tail) * left);
        }
        for (size_t k = 0; k < count; k++) {
            *from = own[k];
            from += first + k + 2;
        }
    }
}

/* ---- U and C f ------------------------------------------------------------------------------- */

#if NBT_LANES > 1

/* One column of rows `first` to first + width of U, of which the first `above` are above the
 * diagonal. */
NBT_INLINE void turn_column(size_t width, float *NBT_RESTRICT u, float *NBT_RESTRICT own, float b,
                            float gain, uint32_t above)
{
    for (uint32_t lane = 0; lane < width; lane++) {
        float before = u[lane];
        float after = before - b * own[lane];
        float more = own[lane] + after * gain;
        u[lane] = lane < above ? after : before;
        own[lane] = lane < above ? more : own[lane];
    }
}

/* Rows `first` to first + width of U, column by column: a vector unit keeps its rows of the gains.
 * Near the diagonal it works on what lies below it too, and puts back what was there. */
NBT_INLINE void turn_rows(size_t width, size_t first, float *ud, float *NBT_RESTRICT gain,
                          const float *b, size_t n)
{
    float own[NBT_LANES];
    nbt_copy(own, gain + first, width);
    size_t j = first + 1;
    size_t at = j * (j + 1) / 2 + first;
    for (; j < first + width; at += ++j) {
        turn_column(width, ud + at, own, b[j], gain[j], (uint32_t)(j - first));
    }
    for (; j < n; at += ++j) {
        turn_column(width, ud + at, own, b[j], gain[j], (uint32_t)width);
    }
    nbt_copy(gain + first, own, width);
}

NBT_LOCAL void nbt_ud_turn(float *ud, float *gain, const float *b, size_t row, size_t end, size_t n)
{
    for (size_t width = 0; row < end; row += width) {
        width = nbt_block_width(row, end);
        width = width < 8 ? width : 8; /* wider ones reach further below the diagonal */
        switch (width) {
        case 8: turn_rows(8, row, ud, gain, b, n); break;
        case 4: turn_rows(4, row, ud, gain, b, n); break;
        case 2: turn_rows(2, row, ud, gain, b, n); break;
        default: turn_rows(1, row, ud, gain, b, n); break;
        }
    }
}

#else

/* One entry of a column of U, and what it adds to its row of the gains. */
NBT_INLINE void turn_entry(float *u, float *NBT_RESTRICT own, float b, float gain)
{
    *u -= b * *own;
    *own += *u * gain;
}

#if UNROLLS

/* Four rows from `first` on, in registers: what a column brings is read once for all of them. */
static void turn_four(float *ud, float *NBT_RESTRICT gain, const float *b, size_t first, size_t n)
{
    float k0 = gain[first], k1 = gain[first + 1], k2 = gain[first + 2], k3 = gain[first + 3];
    size_t j = first + 1, at = j * (j + 1) / 2 + first;
    turn_entry(ud + at, &k0, b[j], gain[j]);
    at += ++j;
    turn_entry(ud + at, &k0, b[j], gain[j]);
    turn_entry(ud + at + 1, &k1, b[j], gain[j]);
    at += ++j;
    turn_entry(ud + at, &k0, b[j], gain[j]);
    turn_entry(ud + at + 1, &k1, b[j], gain[j]);
    turn_entry(ud + at + 2, &k2, b[j], gain[j]);
    for (at += ++j; j < n; at += ++j) {
        float *u = ud + at, bj = b[j], gj = gain[j];
        turn_entry(u, &k0, bj, gj);
        turn_entry(u + 1, &k1, bj, gj);
        turn_entry(u + 2, &k2, bj, gj);
        turn_entry(u + 3, &k3, bj, gj);
    }
    gain[first] = k0;
    gain[first + 1] = k1;
    gain[first + 2] = k2;
    gain[first + 3] = k3;
}

#endif

NBT_LOCAL void nbt_ud_turn(float *ud, float *NBT_RESTRICT gain, const float *b, size_t row,
                           size_t end, size_t n)
{
#if UNROLLS
    for (; row + 4 <= end; row += 4) {
        turn_four(ud, gain, b, row, n);
    }
#endif
    for (; row < end; row++) {
        float own = gain[row];
        size_t j = row + 1;
        for (size_t at = j * (j + 1) / 2 + row; j < n; at += ++j) {
            turn_entry(ud + at, &own, b[j], gain[j]);
        }
        gain[row] = own;
    }
}

#endif

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
