#include "nbt_ud.h"

#include "nbt_block.h"
#include "nbt_math.h"

/* Whether loops are unrolled where that takes fewer instructions. */
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

/* A sum of u_i f_i: four partial sums over i mod 4, then pairwise. The order is part of the numeric
 * contract. */
#if UNROLLS
typedef struct quad {
    float a;
    float b;
    float c;
    float d;
} quad;

/* Adds four more rows. */
NBT_INLINE void add_four(quad *sum, const float *u, float f0, float f1, float f2, float f3)
{
    sum->a += u[0] * f0;
    sum->b += u[1] * f1;
    sum->c += u[2] * f2;
    sum->d += u[3] * f3;
}

/* The whole sum, with n < 4 more rows. */
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

/* Adds the term of one more column to f^T C f. */
NBT_INLINE float add_variance(float c, float d, float b)
{
    return c + d * b * b;
}

#if NBT_LANES > 1

/* Columns j to j + 3, j a multiple of 4: f is read once for all of them, and above row j there are
 * no rows left over. Returns f^T C f with them. */
NBT_INLINE float four_columns(const float *u, const float *f, float *b, size_t j, float c)
{
    const float *u1 = u + j + 1, *u2 = u1 + j + 2, *u3 = u2 + j + 3;
    float s0[4] = {0.0f}, s1[4] = {0.0f}, s2[4] = {0.0f}, s3[4] = {0.0f};
    for (size_t i = 0; i < j; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            s0[k] += u[i + k] * f[i + k];
        }
        for (size_t k = 0; k < 4; k++) {
            s1[k] += u1[i + k] * f[i + k];
        }
        for (size_t k = 0; k < 4; k++) {
            s2[k] += u2[i + k] * f[i + k];
        }
        for (size_t k = 0; k < 4; k++) {
            s3[k] += u3[i + k] * f[i + k];
        }
    }
    s1[0] += u1[j] * f[j];
    s2[0] += u2[j] * f[j];
    s3[0] += u3[j] * f[j];
    s2[1] += u2[j + 1] * f[j + 1];
    s3[1] += u3[j + 1] * f[j + 1];
    s3[2] += u3[j + 2] * f[j + 2];
    b[0] = f[j] + ((s0[0] + s0[2]) + (s0[1] + s0[3]));
    b[1] = f[j + 1] + ((s1[0] + s1[2]) + (s1[1] + s1[3]));
    b[2] = f[j + 2] + ((s2[0] + s2[2]) + (s2[1] + s2[3]));
    b[3] = f[j + 3] + ((s3[0] + s3[2]) + (s3[1] + s3[3]));
    c = add_variance(add_variance(c, u[j], b[0]), u1[j + 1], b[1]);
    return add_variance(add_variance(c, u2[j + 2], b[2]), u3[j + 3], b[3]);
}

#elif UNROLLS

/* Columns j to j + 3, j a multiple of 4: f is read once for all of them, and above row j there are
 * no rows left over. */
NBT_INLINE_LANES float four_columns(const float *u, const float *f, float *b, size_t j, float c)
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
    c = add_variance(add_variance(c, u[0], b0), u1[1], b1);
    return add_variance(add_variance(c, u2[2], b2), u3[3], b3);
}

#endif

NBT_LOCAL float nbt_ud_project(const float *ud, float *b, const float *f, float c, size_t column,
                               size_t end)
{
    size_t j = column;
    ud += j * (j + 1) / 2;
    while (j < end) {
#if UNROLLS
        if (j % 4 == 0 && j + 4 <= end) {
            c = four_columns(ud, f, b + j, j, c);
            ud += 4 * j + 10;
            j += 4;
            continue;
        }
#endif
        b[j] = f[j] + column_dot(ud, f, j);
        c = add_variance(c, ud[j], b[j]);
        ud += ++j;
    }
    return c;
}

/* ---- the scalars of the columns -------------------------------------------------------------- */

NBT_LOCAL void nbt_ud_gains(float *ud, float *gain, float *b, float weight,
                            const nbt_ud_prior *prior, float forget, size_t n)
{
    float slope_head = (1.0f - forget) / prior->head;
    float slope_tail = (1.0f - forget) / prior->tail;
    float after = 1.0f; /* A */
    for (size_t j = 0; j < n; j++) {
        float d = ud[j], along = b[j], scaled = weight * along, before = after;
        after += (scaled * along) * d;
        float share = d / after, left = share * before;
        gain[j] = share * along;
        b[j] = scaled;
        ud[j] = left / (forget + (j < prior->first ? slope_head : slope_tail) * left);
        ud += j + 1;
    }
}

/* ---- U and C f ------------------------------------------------------------------------------- */

#if NBT_LANES > 1

/* Rows of one column that a vector unit processes at once. Each row depends on its sum of the
 * previous column, so up to four such blocks are interleaved. */
#define BLOCK ((size_t)8)

/* One column of `width` rows, whose sums are `own`. */
NBT_INLINE void turn_column(size_t width, float *NBT_RESTRICT u, float *NBT_RESTRICT own, float b,
                            float gain)
{
    for (size_t lane = 0; lane < width; lane++) {
        float after = u[lane] - b * own[lane];
        u[lane] = after;
        own[lane] += after * gain;
    }
}

/* The same near the diagonal, where only the first `above` rows are above it: the others keep their
 * values. */
NBT_INLINE void turn_corner(size_t width, float *NBT_RESTRICT u, float *NBT_RESTRICT own, float b,
                            float gain, uint32_t above)
{
    for (uint32_t lane = 0; lane < width; lane++) {
        uint32_t mask = 0u - (uint32_t)(lane < above); /* a conditional would become a branch */
        float after = u[lane] - b * own[lane];
        float more = own[lane] + after * gain;
        u[lane] = nbt_from_bits((nbt_bits(after) & mask) | (nbt_bits(u[lane]) & ~mask));
        own[lane] = nbt_from_bits((nbt_bits(more) & mask) | (nbt_bits(own[lane]) & ~mask));
    }
}

/* `count` blocks of `width` rows from `first` on. */
NBT_INLINE void turn_rows(size_t width, size_t count, size_t first, float *ud,
                          float *NBT_RESTRICT gain, const float *b, size_t n)
{
    float own0[BLOCK], own1[BLOCK], own2[BLOCK], own3[BLOCK];
    float *u = ud + first * (first + 1) / 2 + first;
    size_t j = first;
    nbt_copy(own0, gain + first, width);
    if (count > 1) {
        nbt_copy(own1, gain + first + width, width);
    }
    if (count > 2) {
        nbt_copy(own2, gain + first + 2 * width, width);
        nbt_copy(own3, gain + first + 3 * width, width);
    }
    for (; j < first + width; u += ++j) {
        float bj = b[j], kj = gain[j]; /* loaded first, since no store to U changes them */
        turn_corner(width, u, own0, bj, kj, (uint32_t)(j - first));
    }
    for (; count > 1 && j < first + 2 * width; u += ++j) {
        float bj = b[j], kj = gain[j];
        turn_column(width, u, own0, bj, kj);
        turn_corner(width, u + width, own1, bj, kj, (uint32_t)(j - first - width));
    }
    for (; count > 2 && j < first + 3 * width; u += ++j) {
        float bj = b[j], kj = gain[j];
        turn_column(width, u, own0, bj, kj);
        turn_column(width, u + width, own1, bj, kj);
        turn_corner(width, u + 2 * width, own2, bj, kj, (uint32_t)(j - first - 2 * width));
    }
    for (; count > 2 && j < first + 4 * width; u += ++j) {
        float bj = b[j], kj = gain[j];
        turn_column(width, u, own0, bj, kj);
        turn_column(width, u + width, own1, bj, kj);
        turn_column(width, u + 2 * width, own2, bj, kj);
        turn_corner(width, u + 3 * width, own3, bj, kj, (uint32_t)(j - first - 3 * width));
    }
    for (; j < n; u += ++j) {
        float bj = b[j], kj = gain[j];
        turn_column(width, u, own0, bj, kj);
        if (count > 1) {
            turn_column(width, u + width, own1, bj, kj);
        }
        if (count > 2) {
            turn_column(width, u + 2 * width, own2, bj, kj);
            turn_column(width, u + 3 * width, own3, bj, kj);
        }
    }
    nbt_copy(gain + first, own0, width);
    if (count > 1) {
        nbt_copy(gain + first + width, own1, width);
    }
    if (count > 2) {
        nbt_copy(gain + first + 2 * width, own2, width);
        nbt_copy(gain + first + 3 * width, own3, width);
    }
}

NBT_LOCAL void nbt_ud_turn(float *ud, float *gain, const float *b, size_t row, size_t end, size_t n)
{
    for (; row + 4 * BLOCK <= end; row += 4 * BLOCK) {
        turn_rows(BLOCK, 4, row, ud, gain, b, n);
    }
    if (row + 2 * BLOCK <= end) {
        turn_rows(BLOCK, 2, row, ud, gain, b, n);
        row += 2 * BLOCK;
    }
    if (row + BLOCK <= end) {
        turn_rows(BLOCK, 1, row, ud, gain, b, n);
        row += BLOCK;
    }
    if (row + BLOCK / 2 <= end) {
        turn_rows(BLOCK / 2, 1, row, ud, gain, b, n);
        row += BLOCK / 2;
    }
    for (; row < end; row++) {
        turn_rows(1, 1, row, ud, gain, b, n);
    }
}

#else

/* One entry of a column of U, and its term in the gain of its row. */
NBT_INLINE void turn_entry(float *u, float *NBT_RESTRICT own, float b, float gain)
{
    *u -= b * *own;
    *own += *u * gain;
}

#if UNROLLS

/* Four rows from `first` on, in registers: the scalars of a column are read once for all of
 * them. */
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
    uint32_t bad = 0; /* an exponent of all ones carries into the sign bit */
    for (size_t i = 0; i < n * (n + 1) / 2; i++) {
        bad |= (nbt_bits(ud[i]) & 0x7fffffffu) + 0x00800000u;
    }
    return bad >> 31 == 0;
}

/* Index in [h; x; 1] of position i in [1; x; h]. */
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
