#include "nbt_residual.h"

#include "nbt_jacobian.h"
#include "nbt_math.h"
#include "nbt_rank_one.h"
#include "nbt_rng.h"
#include "nbt_traces.h"

/* The parts of balance; NULL in a build without it, which never calls these functions. */
#define HAS_BALANCE ((int)NBT_LAST_balance >= (int)NBT_AT_balance)
static float *g_squares(const nbt_layout *l)
{
    return HAS_BALANCE ? NBT_OF(l, balance) + 1 : NULL;
}

static float *kappas(const nbt_layout *l)
{
    return HAS_BALANCE ? NBT_OF(l, balance) + 1 + l->H : NULL;
}

NBT_LOCAL void nbt_residual_clear(const nbt_layout *l)
{
    nbt_rank_one_clear(l);
    nbt_traces_clear(l);
    NBT_OF(l, balance)[0] = 0.0f;
    nbt_fill(g_squares(l), 0.0f, l->H);
    nbt_fill(kappas(l), 1.0f, l->H);
}

NBT_LOCAL float nbt_residual_look(const nbt_learner *learner, const nbt_layout *l, float *g_scale)
{
    uint32_t rng[4] = {learner->rng[0], learner->rng[1], learner->rng[2], learner->rng[3]};
    float *tangent = NBT_OF(l, tangent);
    const float *g_square = g_squares(l);
    const float *kappa = kappas(l);
    float w_norm = nbt_sqrt(NBT_OF(l, balance)[0]);
    float v_norm = nbt_sqrt(nbt_dot(l->v, l->v, l->H));
    float rho = nbt_sqrt((w_norm + NBT_TINY) / (v_norm + NBT_TINY));
    nbt_rng_signs(rng, g_scale, l->H);
    for (size_t i = 0; i < l->H; i++) {
        float sign = g_scale[i];
        float g_norm = nbt_sqrt(g_square[i]) + NBT_TINY;
        float column = kappa[i] + NBT_TINY;
        tangent[i] = rho * l->v[i] + sign * nbt_sqrt(g_norm / column);
        g_scale[i] = sign * nbt_sqrt(column / g_norm);
    }
    return nbt_sqrt((v_norm + NBT_TINY) / (w_norm + NBT_TINY));
}

NBT_LOCAL void nbt_residual_advance(nbt_learner *learner, const nbt_layout *l)
{
    const float *g_keep = NBT_OF(l, g_keep);
    const float *g_scale = NBT_OF(l, g_scale);
    nbt_rng_skip_signs(learner->rng, l->H); /* g_scale already contains the signs */
    nbt_jacobian_keep(l);
    nbt_jacobian_push(l, l->v, NBT_OF(l, tangent));
    for (size_t i = 0; i < l->H; i++) {
        l->v[i] = l->config->decay * (l->v[i] - g_keep[i] / g_scale[i]);
    }
    nbt_traces_sum(l);

    NBT_OF(l, balance)[0] = l->w_square[0];
    nbt_copy(g_squares(l), nbt_g_square(l), l->H);
    kappas(l)[learner->column] = nbt_jacobian_leaving(l, learner->column);
    learner->column = (learner->column + 1) * (uint32_t)(learner->column + 1 < l->H);
}

NBT_LOCAL int nbt_residual_is_bounded(const nbt_layout *l)
{
    return nbt_rank_one_is_bounded(l) && nbt_traces_is_bounded(l);
}
