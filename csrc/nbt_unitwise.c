#include "nbt_unitwise.h"

#include "nbt_math.h"

/* A remainder smaller than this share of |g_i|^2 is rounding. Raising it changes how g_i is split into
 * along and across, not the sum. */
#define ROUNDING 1e-6f
/* The smaller squared singular value is kept above this share of the larger: the factors scale with its
 * fourth root, and their product does not depend on it. */
#define SHARE_MIN 1e-11f
/* Below this a squared singular value is near the end of float32. */
#define SQUARE_MIN 1e-30f

/* A = c along the first axis, s along the second. */
typedef struct rotation {
    float c;
    float s;
} rotation;

/* First eigenvector of [[p, q], [q, r]], the larger of |c|, |s| positive. */
static rotation first_axis(float p, float q, float r)
{
    float half = 0.5f * (p - r);
    float spread = nbt_sqrt(half * half + q * q);
    rotation turn = {1.0f, 0.0f};
    if (spread > 1e-12f * (p + r)) {
        float larger = nbt_sqrt(0.5f * (1.0f + nbt_abs(half) / spread));
        float smaller = q / (2.0f * spread * larger);
        turn.c = half >= 0.0f ? larger : smaller;
        turn.s = half >= 0.0f ? smaller : larger;
    }
    return turn;
}

static float at_least(float x, float least)
{
    return x < least ? least : x;
}

nbt_unit_mix nbt_unitwise_turn(float *v, float *pushed, const float *jt, const nbt_unit_sums *sums,
                               float keep, float decay, float sign, size_t i, size_t H)
{
    nbt_fill(pushed, 0.0f, H);
    for (size_t l = 0; l < H; l++) {
        float v_l = decay * v[l];
        for (size_t k = 0; k < H; k++) {
            pushed[k] += jt[l * H + k] * v_l;
        }
    }
    float *rest = v; /* the old v is used up */
    nbt_copy(rest, jt + i * H, H);
    rest[i] -= keep;
    float aa = nbt_dot(pushed, pushed, H);
    float ab = nbt_dot(pushed, rest, H);
    float bb = nbt_dot(rest, rest, H);

    /* X = (|w| a + along b) q1^T + across b q2^T with q1 = w / |w| and q2 = (g - along q1) / across
     * orthonormal. */
    float w_norm = nbt_sqrt(sums->ww);
    float w_inverse = 1.0f / (w_norm + NBT_TINY);
    float along = sums->wg * w_inverse;
    float across = nbt_sqrt(at_least(sums->gg - along * along, ROUNDING * sums->gg));
    float p = w_norm * w_norm * aa + 2.0f * (w_norm * along) * ab + along * along * bb;
    float q = across * (w_norm * ab + along * bb);
    float r = across * across * bb;
    p = at_least(p, 0.0f);
    rotation turn = first_axis(p, q, r);
    float mean = 0.5f * (p + r);
    float spread = nbt_sqrt(0.25f * (p - r) * (p - r) + q * q);
    /* Their product is an area, which cancels less than mean - spread does. */
    float area = w_norm * across;
    float square = at_least(mean + spread, SQUARE_MIN);
    float smaller = area * area * at_least(aa * bb - ab * ab, 0.0f) / square;
    float first = nbt_sqrt(nbt_sqrt(square)); /* square roots of the singular values */
    float second = nbt_sqrt(nbt_sqrt(at_least(smaller, SHARE_MIN * square)));

    /* Coordinates of v on |w| a + along b and across b, of w on q1 and q2. */
    float v1 = turn.c / first - sign * (turn.s / second);
    float v2 = turn.s / first + sign * (turn.c / second);
    float w1 = turn.c * first - sign * (turn.s * second);
    float w2 = turn.s * first + sign * (turn.c * second);
    float of_pushed = v1 * w_norm;
    float of_rest = v1 * along + v2 * across;
    for (size_t k = 0; k < H; k++) {
        v[k] = of_pushed * pushed[k] + of_rest * rest[k];
    }
    float of_g = w2 / (across + NBT_TINY);
    nbt_unit_mix mix = {(w1 - of_g * along) * w_inverse, of_g};
    return mix;
}
