#include "nbt_unitwise.h"

#include "nbt_jacobian.h"
#include "nbt_math.h"
#include "nbt_rank_one.h"
#include "nbt_rng.h"
#include "nbt_traces.h"

/* Number of units updated together: their roots and divisions fill a vector unit. */
#define UNITS (NBT_LANES > 1 ? 8 : 1)

/* A remainder below this share of |g_i|^2 is a rounding error. A larger value changes the split of
 * g_i into along and across, not the sum. */
#define ROUNDING 1e-6f
/* The smaller squared singular value is raised to this share of the larger: the factors scale with
 * its fourth root, and their product does not depend on it. */
#define SHARE_MIN 1e-11f
/* A squared singular value below this is near the smallest floats. */
#define SQUARE_MIN 1e-30f
/* Below the fourth root of SHARE_MIN SQUARE_MIN, which is denormal: a processor that flushes
 * denormals to zero must not divide by it. */
#define ROOT_MIN 5e-11f

/* A = c along the first axis, s along the second. */
typedef struct rotation {
    float c;
    float s;
} rotation;

/* First eigenvector of [[p, q], [q, r]], the larger of |c|, |s| positive. Without branches, so that
 * the loop over units vectorises. */
NBT_INLINE rotation first_axis(float p, float q, float r)
{
    float half = 0.5f * (p - r);
    float spread = nbt_sqrt(half * half + q * q);
    int turns = spread > 1e-12f * (p + r);
    float larger = nbt_sqrt(0.5f * (1.0f + nbt_abs(half) / spread));
    float smaller = q / (2.0f * spread * larger);
    rotation turn;
    turn.c = nbt_select(half >= 0.0f, larger, smaller);
    turn.s = nbt_select(half >= 0.0f, smaller, larger);
    turn.c = nbt_select(turns, turn.c, 1.0f);
    turn.s = nbt_select(turns, turn.s, 0.0f);
    return turn;
}

NBT_INLINE float at_least(float x, float least)
{
    return nbt_select(x < least, least, x);
}

/* Inputs and results for a few units. They are separate arrays, since a loop over arrays that may
 * overlap does not vectorise. */
typedef struct group {
    float aa[UNITS], ab[UNITS], bb[UNITS]; /* inner products of a and b */
    float ww[UNITS], wg[UNITS], gg[UNITS], sign[UNITS];
    float of_pushed[UNITS], of_rest[UNITS]; /* a and b in the new v_i */
    float of_w[UNITS], of_g[UNITS];         /* w_i and g_i in the new w_i */
} group;

NBT_INLINE void turn_unit(group *s, size_t n)
{
    /* X = (|w| a + along b) q1^T + across b q2^T with q1 = w / |w| and q2 = (g - along q1) / across
     * orthonormal. */
    float aa = s->aa[n], ab = s->ab[n], bb = s->bb[n];
    float sign = s->sign[n];
    float w_norm = nbt_sqrt(s->ww[n]);
    float w_inverse = 1.0f / (w_norm + NBT_TINY);
    float along = s->wg[n] * w_inverse;
    float across = nbt_sqrt(at_least(s->gg[n] - along * along, ROUNDING * s->gg[n]));
    float p = w_norm * w_norm * aa + 2.0f * (w_norm * along) * ab + along * along * bb;
    float q = across * (w_norm * ab + along * bb);
    float r = across * across * bb;
    p = at_least(p, 0.0f);
    rotation turn = first_axis(p, q, r);
    float mean = 0.5f * (p + r);
    float spread = nbt_sqrt(0.25f * (p - r) * (p - r) + q * q);
    /* Their product is an area, which suffers less cancellation than mean - spread. */
    float area = w_norm * across;
    float square = at_least(mean + spread, SQUARE_MIN);
    float smaller = area * area * at_least(aa * bb - ab * ab, 0.0f) / square;
    float first = nbt_sqrt(nbt_sqrt(square)); /* square roots of the singular values */
    float second = at_least(nbt_sqrt(nbt_sqrt(at_least(smaller, SHARE_MIN * square))), ROOT_MIN);

    /* Coordinates of v on |w| a + along b and across b, of w on q1 and q2. */
    float v1 = turn.c / first - sign * (turn.s / second);
    float v2 = turn.s / first + sign * (turn.c / second);
    float w1 = turn.c * first - sign * (turn.s * second);
    float w2 = turn.s * first + sign * (turn.c * second);
    s->of_pushed[n] = v1 * w_norm;
    s->of_rest[n] = v1 * along + v2 * across;
    float of_g = w2 / (across + NBT_TINY);
    s->of_w[n] = (w1 - of_g * along) * w_inverse;
    s->of_g[n] = of_g;
}

/* Columns k to k + width of out (4, H) = decay v J^T for four rows of v; each sum is in the order
 * of i. */
NBT_INLINE void push_four(size_t width, size_t k, float *out, const float *v, const float *jt,
                          float decay, size_t H)
{
    float first[NBT_LANES] = {0}, second[NBT_LANES] = {0};
    float third[NBT_LANES] = {0}, fourth[NBT_LANES] = {0};
    for (size_t i = 0; i < H; i++) {
        const float *row = jt + i * H + k;
        float v1 = decay * v[i], v2 = decay * v[H + i];
        float v3 = decay * v[2 * H + i], v4 = decay * v[3 * H + i];
        for (size_t lane = 0; lane < width; lane++) {
            first[lane] += row[lane] * v1;
            second[lane] += row[lane] * v2;
            third[lane] += row[lane] * v3;
            fourth[lane] += row[lane] * v4;
        }
    }
    nbt_copy(out + k, first, width);
    nbt_copy(out + H + k, second, width);
    nbt_copy(out + 2 * H + k, third, width);
    nbt_copy(out + 3 * H + k, fourth, width);
}

/* The same for one row. */
NBT_INLINE void push_one(size_t width, size_t k, float *out, const float *v, const float *jt,
                         float decay, size_t H)
{
    float sum[NBT_LANES];
    nbt_fill(sum, 0.0f, NBT_LANES);
    for (size_t i = 0; i < H; i++) {
        float v_i = decay * v[i];
        for (size_t lane = 0; lane < width; lane++) {
            sum[lane] += jt[i * H + k + lane] * v_i;
        }
    }
    nbt_copy(out + k, sum, width);
}

#define PUSH_ALL(push)                                     \
    for (size_t k = 0, width = 0; k < H; k += width) {     \
        width = nbt_block_width(k, H);                     \
        switch (width) {                                   \
        case 16: push(16, k, out, v, jt, decay, H); break; \
        case 8: push(8, k, out, v, jt, decay, H); break;   \
        case 4: push(4, k, out, v, jt, decay, H); break;   \
        case 2: push(2, k, out, v, jt, decay, H); break;   \
        default: push(1, k, out, v, jt, decay, H); break;  \
        }                                                  \
    }

/* out (count, H) = a for count units, row by row. */
static void push_units(float *out, const float *v, const float *jt, float decay, size_t count,
                       size_t H)
{
    for (; NBT_LANES > 1 && count >= 4; count -= 4, out += 4 * H, v += 4 * H) {
        PUSH_ALL(push_four)
    }
    for (; count > 0; count--, out += H, v += H) {
        PUSH_ALL(push_one)
    }
}

/* One step of the units i to i + count, count <= UNITS: updates their v, w_scale and g_scale, which
 * holds the signs on entry. */
NBT_INLINE void turn_units(const nbt_layout *l, size_t i, size_t count)
{
    group s;
    size_t H = l->H;
    const float *jt = NBT_OF(l, jacobian);
    float *v = l->v + i * H;
    float *pushed = nbt_unit_scratch(l); /* (UNITS, H) a */
    push_units(pushed, v, jt, l->config->decay, count, H);
    for (size_t n = 0; n < count; n++) {
        float *rest = v + n * H; /* b overwrites the old v, which is no longer needed */
        nbt_copy(rest, jt + (i + n) * H, H);
        rest[i + n] -= NBT_OF(l, g_keep)[i + n];
        s.aa[n] = nbt_dot(pushed + n * H, pushed + n * H, H);
        s.ab[n] = nbt_dot(pushed + n * H, rest, H);
        s.bb[n] = nbt_dot(rest, rest, H);
        s.ww[n] = l->w_square[i + n];
        s.wg[n] = NBT_OF(l, g_cross)[i + n];
        s.gg[n] = nbt_g_square(l)[i + n];
        s.sign[n] = NBT_OF(l, g_scale)[i + n];
    }
    for (size_t n = 0; n < count; n++) {
        turn_unit(&s, n);
    }
    nbt_copy(nbt_w_scale(l) + i, s.of_w, count);
    nbt_copy(NBT_OF(l, g_scale) + i, s.of_g, count);
    for (size_t n = 0; n < count; n++) {
        for (size_t k = 0; k < H; k++) {
            v[n * H + k] = s.of_pushed[n] * pushed[n * H + k] + s.of_rest[n] * v[n * H + k];
        }
    }
}

/* out (H) = for every unit the sum over its rows. */
static void sum_rows(const nbt_layout *l, float *out, const float *row_values)
{
    nbt_fill(out, 0.0f, l->H);
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            out[i] += row_values[row + i];
        }
    }
}

/* Converts the sums with the old w to those with w_scale w + g_scale g. */
static void move_sums(const nbt_layout *l)
{
    for (size_t i = 0; i < l->H; i++) {
        float w = nbt_w_scale(l)[i], g = NBT_OF(l, g_scale)[i];
        float ww = w * l->w_square[i] + 2.0f * g * NBT_OF(l, g_cross)[i];
        l->w_square[i] = nbt_moved_square(w * ww + g * g * nbt_g_square(l)[i]);
    }
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            float w = nbt_w_scale(l)[i], g = NBT_OF(l, g_scale)[i];
            NBT_OF(l, wg)[row + i] = w * NBT_OF(l, wg)[row + i] + g * NBT_OF(l, gg)[row + i];
            nbt_wu(l)[row + i] = w * nbt_wu(l)[row + i] + g * NBT_OF(l, gu)[row + i];
        }
    }
}

NBT_LOCAL void nbt_unitwise_clear(const nbt_layout *l)
{
    nbt_rank_one_clear(l);
    nbt_traces_clear(l);
}

NBT_LOCAL void nbt_unitwise_advance(nbt_learner *learner, const nbt_layout *l)
{
    nbt_jacobian_transposed(l);
    nbt_jacobian_keep(l);
    nbt_rng_signs(learner->rng, NBT_OF(l, g_scale), l->H);
    /* Inner products of w_i and g_i before the motion. */
    sum_rows(l, NBT_OF(l, g_cross), NBT_OF(l, wg));
    sum_rows(l, nbt_g_square(l), NBT_OF(l, gg));
    size_t i = 0;
    for (; i + UNITS <= l->H; i += UNITS) {
        turn_units(l, i, UNITS);
    }
    if (UNITS > 1 && i < l->H) {
        turn_units(l, i, l->H - i);
    }
    move_sums(l);
    nbt_traces_sum(l);
}

NBT_LOCAL int nbt_unitwise_is_bounded(const nbt_layout *l)
{
    return nbt_rank_one_is_bounded(l) && nbt_traces_is_bounded(l);
}
