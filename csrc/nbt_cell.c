#include "nbt_cell.h"

#include "nbt.h"
#include "nbt_build.h"
#include "nbt_math.h"

NBT_LOCAL size_t nbt_cell_gates(uint32_t cell)
{
    return NBT_ROWS(1, nbt_built_cell(cell));
}

NBT_LOCAL size_t nbt_cell_parts(uint32_t cell)
{
    return NBT_PARTS(nbt_built_cell(cell));
}

/* units_<name> is the loop over the units of a cell of NBT_CELL_LIST:
 *     units_<name>(n, H, derive, rows of gate 0, ..., state part 0, ..., leak, gain2, carry)
 * Gate rows and state parts are separate pointers that do not overlap, so that the loop vectorises.
 * The first n of the H units are stepped. The gains overwrite the pre-activations. derive is a
 * constant; if it is 0, gain2 and carry are NULL. leak (H) is used by cells that leak, gain2 (gates
 * * H) by cells with two parts. */

NBT_INLINE void units_tanh(size_t n, size_t H, int derive, float *NBT_RESTRICT a,
                           float *NBT_RESTRICT h, const float *leak, float *gain2,
                           float *NBT_RESTRICT carry)
{
    (void)H;
    (void)leak;
    (void)gain2;
    for (size_t i = 0; i < n; i++) {
        h[i] = nbt_tanh(a[i]);
        if (derive) {
            a[i] = 1.0f - h[i] * h[i];
            carry[i] = 0.0f;
        }
    }
}

NBT_INLINE void units_leaky(size_t n, size_t H, int derive, float *NBT_RESTRICT a,
                            float *NBT_RESTRICT h, const float *NBT_RESTRICT leak, float *gain2,
                            float *NBT_RESTRICT carry)
{
    (void)H;
    (void)gain2;
    for (size_t i = 0; i < n; i++) {
        float activity = nbt_tanh(a[i]);
        h[i] += leak[i] * (activity - h[i]);
        if (derive) {
            a[i] = leak[i] * (1.0f - activity * activity);
            carry[i] = 1.0f - leak[i];
        }
    }
}

NBT_INLINE void units_gated(size_t n, size_t H, int derive, float *NBT_RESTRICT a_z,
                            float *NBT_RESTRICT a_c, float *NBT_RESTRICT h, const float *leak,
                            float *gain2, float *NBT_RESTRICT carry)
{
    (void)H;
    (void)leak;
    (void)gain2;
    for (size_t i = 0; i < n; i++) {
        float z = nbt_sigmoid(a_z[i]);
        float candidate = nbt_tanh(a_c[i]);
        float difference = candidate - h[i];
        h[i] += z * difference;
        if (derive) {
            a_z[i] = z * (1.0f - z) * difference;
            a_c[i] = z * (1.0f - candidate * candidate);
            carry[i] = 1.0f - z;
        }
    }
}

NBT_INLINE void units_columnar(size_t n, size_t H, int derive, float *NBT_RESTRICT a_z,
                               float *NBT_RESTRICT a_c, float *NBT_RESTRICT h, const float *leak,
                               float *gain2, float *NBT_RESTRICT carry)
{
    units_gated(n, H, derive, a_z, a_c, h, leak, gain2, carry);
}

/* The gates i, f, g, o lie H apart in a (gains of h) and in gain2 (gains of c). */
NBT_INLINE void units_resonator(size_t n, size_t H, int derive, float *NBT_RESTRICT a,
                                float *NBT_RESTRICT b, float *NBT_RESTRICT p, const float *leak,
                                float *gain2, float *NBT_RESTRICT carry)
{
    units_gated(n, H, derive, a, b, p, leak, gain2, carry); /* n is 0: nbt_resonator.h steps
                                                               resonators */
}

NBT_INLINE void units_lstm(size_t n, size_t H, int derive, float *NBT_RESTRICT a_i,
                           float *NBT_RESTRICT a_f, float *NBT_RESTRICT a_g,
                           float *NBT_RESTRICT a_o, float *NBT_RESTRICT h, float *NBT_RESTRICT c,
                           const float *leak, float *NBT_RESTRICT gain2, float *NBT_RESTRICT carry)
{
    (void)leak;
    for (size_t k = 0; k < n; k++) {
        float i = nbt_sigmoid(a_i[k]);
        float f = nbt_sigmoid(a_f[k]);
        float g = nbt_tanh(a_g[k]);
        float o = nbt_sigmoid(a_o[k]);
        float c_before = c[k];
        float c_after = f * c_before + i * g;
        float squashed = nbt_tanh(c_after);
        h[k] = o * squashed;
        c[k] = c_after;
        if (derive) {
            float h_per_c = o * (1.0f - squashed * squashed);
            float by_i = i * (1.0f - i) * g;
            float by_f = f * (1.0f - f) * c_before;
            float by_g = i * (1.0f - g * g);
            a_i[k] = h_per_c * by_i;
            a_f[k] = h_per_c * by_f;
            a_g[k] = h_per_c * by_g;
            a_o[k] = o * (1.0f - o) * squashed;
            gain2[k] = by_i;
            gain2[H + k] = by_f;
            gain2[2 * H + k] = by_g;
            gain2[3 * H + k] = 0.0f;
            carry[k] = h_per_c * f;
            carry[H + k] = f;
        }
    }
}

/* The arguments for 1, 2 or 4 vectors that start H apart from p on. */
#define VECTORS_1(p, H) (p)
#define VECTORS_2(p, H) VECTORS_1(p, H), (p) + (H)
#define VECTORS_3(p, H) VECTORS_2(p, H), (p) + 2 * (H)
#define VECTORS_4(p, H) VECTORS_3(p, H), (p) + 3 * (H)

NBT_INLINE void each_cell(uint32_t cell, size_t n, size_t H, int derive, float *a, float *state,
                          const float *leak, float *gain2, float *carry)
{
    switch (nbt_built_cell(cell)) {
#define CASE(NAME, name, gates, parts, leaks, slow, fast, alone)                                  \
    case NBT_CELL_##NAME:                                                                         \
        units_##name(n, H, derive, VECTORS_##gates(a, H), VECTORS_##parts(state, H), leak, gain2, \
                     carry);                                                                      \
        break;
        NBT_CELL_LIST(CASE)
#undef CASE
    default: /* nbt_config_check refuses all other numbers */ break;
    }
}

NBT_LOCAL void nbt_cell_forward(uint32_t cell, size_t n, size_t H, float *a, float *state,
                                const float *leak)
{
    each_cell(cell, n, H, 0, a, state, leak, NULL, NULL);
}

NBT_LOCAL void nbt_cell_linearise(uint32_t cell, size_t n, size_t H, float *a, float *state,
                                  const float *leak, float *gain2, float *carry)
{
    each_cell(cell, n, H, 1, a, state, leak, gain2, carry);
}
