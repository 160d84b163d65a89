#include "nbt_jacobian.h"

#include "nbt_math.h"
#include "nbt_sweep.h"

NBT_LOCAL void nbt_jacobian_push(const nbt_layout *l, float *out, const float *memory)
{
    size_t H = l->H;
    /* Part 0 before part 1: if out is v, the memory is overwritten last. */
    for (size_t part = 0; part < l->parts; part++, out += H) {
        const float *gain = part == 0 ? nbt_gain(l) : NBT_OF(l, gain2);
        for (size_t i = 0; i < H; i++) {
            out[i] = l->carry[part * H + i] * memory[i];
        }
        for (size_t row = 0; row < l->R; row += H) {
            for (size_t i = 0; i < H; i++) {
                out[i] += gain[row + i] * l->da[row + i];
            }
        }
    }
}

/* out (H): for every unit the sum of e_r x_r over its rows. */
static void through_units(const nbt_layout *l, float *out, const float *x)
{
    const float *gain = nbt_gain(l);
    nbt_fill(out, 0.0f, l->H);
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            out[i] += gain[row + i] * x[row + i];
        }
    }
}

NBT_LOCAL void nbt_jacobian_keep(const nbt_layout *l)
{
    float *own = nbt_scratch(l); /* (R) theta_r,unit(r) */
    float *g_keep = NBT_OF(l, g_keep);
    nbt_sweep_column(&l->m, own, l->D);
    through_units(l, g_keep, own);
    for (size_t i = 0; i < l->H; i++) {
        g_keep[i] = nbt_clamp(l->carry[i] + g_keep[i], -1.0f, 1.0f);
    }
}

NBT_LOCAL float nbt_jacobian_leaving(const nbt_layout *l, size_t k)
{
    float *column = nbt_scratch(l); /* (R) theta_rk */
    float *entry = column + l->R;
    float squared = 0.0f;
    nbt_sweep_column(&l->m, column, k);
    through_units(l, entry, column);
    entry[k] = 0.0f;
    for (size_t i = 0; i < l->H; i++) {
        squared += entry[i] * entry[i];
    }
    return nbt_sqrt(squared);
}

NBT_LOCAL void nbt_jacobian_transposed(const nbt_layout *l)
{
    float *jt = NBT_OF(l, jacobian);
    nbt_fill(jt, 0.0f, l->H * l->H);
    for (size_t i = 0; i < l->H; i++) {
        jt[i * l->H + i] = l->carry[i];
    }
    nbt_sweep_jacobian(&l->m, jt, nbt_gain(l));
}
