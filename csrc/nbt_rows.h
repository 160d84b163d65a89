/* Loops over rows of weights whose slopes are one vector times a number of the row, or traces of
 * their own: what the head, columns and resonators share. A block has `width` rows, as in
 * nbt_matrices.h; a rest of them is one row. */
#ifndef NBT_ROWS_H
#define NBT_ROWS_H

#include "nbt_kalman.h"
#include "nbt_math.h"
#include "nbt_matrices.h"

/* Without lanes a small processor goes through four rows at once: it loads what they share once. */
#if NBT_LANES < 4 && !defined(__OPTIMIZE_SIZE__)
#define NBT_FOUR_ROWS 1
#else
#define NBT_FOUR_ROWS 0
#endif

/* The next loop, `times` turns at once, where that is not larger than asked for. Without lanes:
 * with them a loop over them is in each turn. */
#if NBT_LANES < 4 && !defined(__OPTIMIZE_SIZE__) && defined(__GNUC__) && !defined(__clang__)
#define NBT_UNROLL_(text) _Pragma(#text)
#define NBT_UNROLL(times) NBT_UNROLL_(GCC unroll times)
#else
#define NBT_UNROLL(times)
#endif

/* out_k = a_k^T b_k for n rows of O entries, b the same row for all (b_step 0) or one each (O). One
 * output is what most sensors have, and then this is a loop over rows that vectorises. */
NBT_INLINE_LANES void nbt_rows_dots(float *NBT_RESTRICT out, const float *a, const float *b,
                                    size_t b_step, size_t n, size_t O)
{
    if (O == 1 && b_step == 0) {
        for (size_t k = 0; k < n; k++) {
            out[k] = 0.0f + a[k] * b[0]; /* as nbt_dot adds it up */
        }
    } else if (O == 1) {
        for (size_t k = 0; k < n; k++) {
            out[k] = 0.0f + a[k] * b[k];
        }
    } else {
        for (size_t k = 0; k < n; k++) {
            out[k] = nbt_dot(a + k * O, b + k * b_step, O);
        }
    }
}

/* sum_i += row_i v for four rows of n weights each that lie `stride` apart; with `squared` times the
 * squares of v. */
NBT_INLINE void nbt_rows_four(float sum[4], const float *rows, size_t stride, const float *v,
                              size_t n, int squared)
{
    const float *a = rows, *b = a + stride, *c = b + stride, *d = c + stride, *end = v + n;
    float sum_a = sum[0], sum_b = sum[1], sum_c = sum[2], sum_d = sum[3];
    NBT_UNROLL(2)
    while (v != end) {
        float by = *v++;
        by = squared ? by * by : by;
        sum_a += *a++ * by;
        sum_b += *b++ * by;
        sum_c += *c++ * by;
        sum_d += *d++ * by;
    }
    sum[0] = sum_a;
    sum[1] = sum_b;
    sum[2] = sum_c;
    sum[3] = sum_d;
}

/* The same for a block. */
NBT_INLINE void nbt_rows_block(size_t width, float *sum, const float *rows, const float *v,
                               size_t n, int squared)
{
    for (const float *end = v + n; v != end; v++, rows += width) {
        float by = squared ? *v * *v : *v;
        for (size_t lane = 0; lane < width; lane++) {
            sum[lane] += rows[lane] * by;
        }
    }
}

/* What a label says of the rows of a block, each of one direction g: theta += step P g, and P shrinks
 * with the curvature along g (nbt_kalman.h). */
typedef struct nbt_rows_update {
    float step[NBT_LANES];
    float curvature[NBT_LANES];
    float keep, rate_floor;
} nbt_rows_update;

/* n columns of a block after it, P only of rows that have their turn. The slopes g are those of each
 * row, or the same for all. */
NBT_INLINE void nbt_rows_change(size_t width, int has_turn, const nbt_rows_update *by,
                                float *NBT_RESTRICT theta, float *NBT_RESTRICT p, const float *g,
                                int is_shared, size_t n)
{
    NBT_UNROLL(4)
    for (const float *end = theta + n * width; theta != end; theta += width, p += width) {
        for (size_t lane = 0; lane < width; lane++) {
            float variance = p[lane], slope = g[is_shared ? 0 : lane], along = variance * slope;
            theta[lane] += by->step[lane] * along;
            if (has_turn) {
                p[lane] = nbt_kalman_shrink(variance, by->keep,
                                            by->curvature[lane] * (along * slope) +
                                                by->rate_floor * variance);
            }
        }
        g += is_shared ? 1 : width;
    }
}

/* The same without variances. */
NBT_INLINE void nbt_rows_step(size_t width, const float *step, float *NBT_RESTRICT theta,
                              const float *g, int is_shared, size_t n)
{
    for (const float *end = theta + n * width; theta != end; theta += width) {
        for (size_t lane = 0; lane < width; lane++) {
            theta[lane] += step[lane] * g[is_shared ? 0 : lane];
        }
        g += is_shared ? 1 : width;
    }
}

#endif
