#include "nbt_rank_one.h"

NBT_LOCAL void nbt_rank_one_clear(const nbt_layout *l)
{
    nbt_fill(l->v, 0.0f, l->N * l->S);
    nbt_fill(l->m.w, 0.0f, l->R * l->D);
}

NBT_LOCAL int nbt_rank_one_is_bounded(const nbt_layout *l)
{
    int good = 1;
    for (size_t n = 0; n < l->N; n++) {
        const float *v = l->v + n * l->S;
        good &= l->w_square[n] < NBT_NORM_LIMIT && nbt_abs(nbt_w_scale(l)[n]) < NBT_HUGE;
        good &= nbt_dot(v, v, l->S) < NBT_HUGE;
    }
    return good;
}
