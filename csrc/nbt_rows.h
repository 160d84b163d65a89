/* Loops over rows of weights, shared by the head, columns and resonators. The slopes of a row are
 * either one common vector times a number of the row, or its own traces. A block has `width` rows,
 * as in nbt_matrices.h; remaining rows are processed one at a time. */
#ifndef NBT_ROWS_H
#define NBT_ROWS_H

#include "nbt_kalman.h"
#include "nbt_math.h"
#include "nbt_matrices.h"

/* Without lanes, a small processor processes four rows at once: it loads the shared values once. */
#if NBT_LANES < 4 && !defined(__OPTIMIZE_SIZE__)
#define NBT_FOUR_ROWS 1
#else
#define NBT_FOUR_ROWS 0
#endif

/* The curvature is not split off along a direction with a smaller share: the tilt, or its square,
 * would not be finite. */
#define NBT_SPLIT_MIN 1e-20f

/* Runs `turn` n times; it advances its pointers and ends with NBT_PIN of each. The loop is unrolled
 * by four unless the build is for size. */
#ifdef __OPTIMIZE_SIZE__
#define NBT_REPEAT(n, turn)                        \
    for (size_t left_ = (n); left_ > 0; left_--) { \
        turn;                                      \
    }
#else
#define NBT_REPEAT(n, turn)                            \
    if (((n) & 1) != 0) {                              \
        turn;                                          \
    }                                                  \
    if (((n) & 2) != 0) {                              \
        turn;                                          \
        turn;                                          \
    }                                                  \
    for (size_t left_ = (n) / 4; left_ > 0; left_--) { \
        turn;                                          \
        turn;                                          \
        turn;                                          \
        turn;                                          \
    }
#endif

/* Prevents compilers from replacing the moving pointers of several turns by offsets to one pointer
 * and an addition for each: ARM increments a pointer in the load itself. */
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__) && (defined(__arm__) || defined(__aarch64__))
#define NBT_PIN(pointer) __asm__("" : "+r"(pointer))
#else
#define NBT_PIN(pointer) (void)(pointer)
#endif

/* out_k = scale a_k^T b_k for n rows of O entries. b is the same row for all (b_step 0), or one
 * row each (b_step O). With one output, as most sensors have, this is a loop over rows that
 * vectorises. */
NBT_INLINE_LANES void nbt_rows_dots(float *NBT_RESTRICT out, const float *a, const float *b,
                                    size_t b_step, size_t n, size_t O, float scale)
{
    if (O == 1 && b_step == 0) {
        float by = n > 0 ? scale * b[0] : 0.0f;
        for (size_t k = 0; k < n; k++) {
            out[k] = a[k] * by;
        }
    } else if (O == 1) {
        for (size_t k = 0; k < n; k++) {
            out[k] = scale * (a[k] * b[k]);
        }
    } else {
        for (size_t k = 0; k < n; k++) {
            out[k] = scale * nbt_dot(a + k * O, b + k * b_step, O);
        }
    }
}

/* sum_i += row_i v for four rows of n weights each, `stride` apart; with `squared` times the
 * squares of v. */
NBT_INLINE void nbt_rows_four(float sum[4], const float *rows, size_t stride, const float *v,
                              size_t n, int squared)
{
    const float *a = rows, *b = a + stride, *c = b + stride, *d = c + stride;
    float sum_a = sum[0], sum_b = sum[1], sum_c = sum[2], sum_d = sum[3];
#define COLUMN                       \
    {                                \
        float by = *v++;             \
        by = squared ? by * by : by; \
        sum_a += *a++ * by;          \
        sum_b += *b++ * by;          \
        sum_c += *c++ * by;          \
        sum_d += *d++ * by;          \
        NBT_PIN(v);                  \
        NBT_PIN(a);                  \
        NBT_PIN(b);                  \
        NBT_PIN(c);                  \
        NBT_PIN(d);                  \
    }
    NBT_REPEAT(n, COLUMN)
#undef COLUMN
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

/* The scalars of a label for the rows of a block with one direction g each: theta += step P g, and
 * P shrinks with the curvature along g (nbt_kalman.h). */
typedef struct nbt_rows_update {
    float step[NBT_LANES];
    float curvature[NBT_LANES];
    float keep, rate_floor;
} nbt_rows_update;

/* n weights of a row whose P has its turn (nbt_kalman.h), and of one whose P has not. g may
 * overlap. */
NBT_LOCAL void nbt_rows_turn(float *NBT_RESTRICT theta, float *NBT_RESTRICT p, const float *g,
                             size_t n, float step, float curvature, float keep, float rate_floor);
NBT_LOCAL void nbt_rows_rest(float *NBT_RESTRICT theta, const float *NBT_RESTRICT p, const float *g,
                             size_t n, float step);

/* n traces of a row: g <- keep g + gain x. Returns square and sum P g g. */
NBT_LOCAL float nbt_rows_trace(float *NBT_RESTRICT g, const float *NBT_RESTRICT p, const float *x,
                               size_t n, float keep, float gain, float square);

/* n columns of a block, P only if it has its turn. The slopes g are those of each row, or the same
 * for all. */
NBT_INLINE void nbt_rows_change(size_t width, int has_turn, const nbt_rows_update *by,
                                float *NBT_RESTRICT theta, float *NBT_RESTRICT p, const float *g,
                                int is_shared, size_t n)
{
    if (width == 1) {
        if (has_turn) {
            nbt_rows_turn(theta, p, g, n, by->step[0], by->curvature[0], by->keep, by->rate_floor);
        } else {
            nbt_rows_rest(theta, p, g, n, by->step[0]);
        }
        return;
    }
    for (const float *end = theta + n * width; theta != end; theta += width, p += width) {
        for (size_t lane = 0; lane < width; lane++) {
            float variance = p[lane], slope = g[is_shared ? 0 : lane], along = variance * slope;
            theta[lane] += by->step[lane] * along;
            if (has_turn) {
                float curvature = by->curvature[lane] * (along * slope);
                p[lane] =
                    nbt_kalman_shrink(variance, by->keep, curvature + by->rate_floor * variance);
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
