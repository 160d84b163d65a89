#include "nbt_traces.h"

#include "nbt_jacobian.h"
#include "nbt_math.h"
#include "nbt_rank_one.h"

NBT_LOCAL void nbt_traces_clear(const nbt_layout *l)
{
    nbt_fill(l->m.g, 0.0f, l->R * l->D);
    nbt_fill(NBT_OF(l, angle_traces), 0.0f, 2 * nbt_resonators(l));
}

NBT_LOCAL void nbt_traces_sum(const nbt_layout *l)
{
    const float *gain = nbt_gain(l);
    const float *keep = NBT_OF(l, g_keep);
    float *square = nbt_g_square(l);
    float *cross = NBT_OF(l, g_cross);
    nbt_fill(square, 0.0f, l->H);
    nbt_fill(cross, 0.0f, nbt_has_w(&l->m) ? l->H : 0);
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            float d = keep[i], e = gain[row + i];
            float gg = d * NBT_OF(l, gg)[row + i] + 2.0f * e * NBT_OF(l, gu)[row + i];
            square[i] += d * gg + e * e * l->uu[row + i];
        }
        for (size_t i = 0; i < l->H && nbt_has_w(&l->m); i++) {
            cross[i] += keep[i] * NBT_OF(l, wg)[row + i] + gain[row + i] * nbt_wu(l)[row + i];
        }
    }
    for (size_t i = 0; i < l->H; i++) {
        square[i] = nbt_moved_square(square[i]);
    }
}

NBT_LOCAL void nbt_traces_advance(const nbt_layout *l)
{
    nbt_jacobian_keep(l);
    nbt_traces_sum(l);
}

NBT_LOCAL int nbt_traces_is_bounded(const nbt_layout *l)
{
    int good = 1;
    for (size_t i = 0; i < l->E; i++) {
        good &= nbt_g_square(l)[i] < NBT_NORM_LIMIT;
    }
    return good;
}
