#include "nbt_estimate.h"

#include "nbt_cell.h"
#include "nbt_intake.h"
#include "nbt_math.h"
#include "nbt_rng.h"
#include "nbt_rtrl.h"
#include "nbt_tangent.h"
#include "nbt_unitwise.h"

/* Of sum P w w and sum P g g: with P >= 1e-20 (nbt_metric.h), entries stay below 1e16. */
#define NORM_LIMIT 1e12f

void nbt_estimate_clear(const nbt_layout *l)
{
    if (l->v != NULL) {
        nbt_fill(l->v, 0.0f, l->N * l->S);
        nbt_fill(l->m.w, 0.0f, l->R * l->D);
    }
    if (l->m.g != NULL) {
        nbt_fill(l->m.g, 0.0f, l->R * l->D);
    }
    if (l->balance != NULL) {
        nbt_fill(l->balance, 0.0f, 1 + l->H);
        nbt_fill(l->balance + 1 + l->H, 1.0f, l->H);
    }
    if (l->exact != NULL) {
        nbt_fill(l->exact, 0.0f, l->S * l->R * l->D);
    }
}

static float non_negative(float x)
{
    return x < 0.0f ? 0.0f : x;
}

static void frozen(const nbt_config *config, const nbt_layout *l)
{
    nbt_sweep_forward(&l->m, l->act, l->u);
    nbt_cell_forward(config->cell, l->H, l->act, l->learning_state, l->leak);
}

/* The row sums for `tangent`, then the cell with its derivatives. */
static nbt_jacobian linearise(const nbt_config *config, const nbt_layout *l, nbt_products *products,
                              const nbt_motion *motion, const float *tangent)
{
    products->a = l->act;
    products->da = l->da;
    products->uu = l->uu;
    products->wu = l->wu;
    products->gu = l->gu;
    products->gg = l->gg;
    products->wg = l->wg;
    products->ww = l->w_square;
    nbt_sweep_products(&l->m, products, motion, l->u, tangent);
    nbt_cell_linearise(config->cell, l->H, l->act, l->learning_state, l->leak, l->gain2, l->carry);
    nbt_jacobian jacobian = {{l->act, l->gain2}, l->carry, l->H, l->R, l->parts};
    return jacobian;
}

static nbt_motion nobacktrack(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    nbt_motion motion = {l->w_scale, l->da, NULL, NULL, NULL};
    nbt_products products;
    nbt_jacobian jacobian = linearise(config, l, &products, &motion, l->v);
    nbt_tangent_push(&jacobian, l->v, l->v + l->S - l->H, l->da);

    float *u_scale = l->da; /* theta v is used up */
    nbt_rng_signs(learner->rng, u_scale, l->R);
    int plain = config->norm == NBT_NORM_EUCLIDEAN;
    float w_norm = nbt_sqrt(plain ? products.ww_plain : l->w_square[0]);
    float u_plain = nbt_dot(l->u, l->u, l->D);
    float scale = nbt_tangent_add(&jacobian, l->v, u_scale, plain ? &u_plain : l->uu,
                                  plain ? 0 : 1, w_norm, config->decay);
    /* sum P w w of the new w from the sums of the old one. */
    l->w_scale[0] = scale;
    float ww = scale * scale * l->w_square[0];
    for (size_t r = 0; r < l->R; r++) {
        ww += u_scale[r] * (2.0f * scale * l->wu[r] + u_scale[r] * l->uu[r]);
    }
    l->w_square[0] = non_negative(ww);
    return motion;
}

/* sum P g g and sum P g w of the moved factors, unit by unit, from the sums before the move. */
static void sum_traces(const nbt_layout *l, const float *gain)
{
    for (size_t i = 0; i < l->H; i++) {
        float d = l->g_keep[i];
        float square = 0.0f;
        float cross = 0.0f;
        for (size_t r = i; r < l->R; r += l->H) {
            square += d * (d * l->gg[r] + 2.0f * gain[r] * l->gu[r]) + gain[r] * gain[r] * l->uu[r];
            cross += l->wg == NULL ? 0.0f : d * l->wg[r] + gain[r] * l->wu[r];
        }
        l->g_square[i] = non_negative(square);
        l->g_cross[i] = cross;
    }
}

static nbt_motion snap1(const nbt_config *config, const nbt_layout *l)
{
    nbt_motion motion = {NULL, NULL, NULL, l->g_keep, l->act};
    nbt_products products;
    nbt_jacobian jacobian = linearise(config, l, &products, &motion, NULL);
    nbt_residual_keep(&jacobian, &l->m, l->g_keep);
    sum_traces(l, l->act);
    return motion;
}

static nbt_motion residual(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    nbt_motion motion = {l->w_scale, NULL, l->g_scale, l->g_keep, l->act};
    nbt_products products;
    nbt_rng_signs(learner->rng, l->g_scale, l->H);
    l->w_scale[0] = nbt_residual_aim(l->tangent, l->g_scale, l->balance, l->v, l->H);
    nbt_jacobian jacobian = linearise(config, l, &products, &motion, l->tangent);
    nbt_residual_keep(&jacobian, &l->m, l->g_keep);
    nbt_tangent_push(&jacobian, l->v, l->tangent, l->da);
    nbt_residual_rest(l->v, l->g_keep, l->g_scale, config->decay, l->H);
    sum_traces(l, l->act);

    l->balance[0] = l->w_square[0];
    nbt_copy(l->balance + 1, l->g_square, l->H);
    l->balance[1 + l->H + learner->column] = nbt_residual_column(&jacobian, &l->m, learner->column);
    learner->column = learner->column + 1 < l->H ? learner->column + 1 : 0;
    return motion;
}

/* Sums over the rows of unit i. */
static float sum_rows(const nbt_layout *l, const float *row, size_t i)
{
    float sum = 0.0f;
    for (size_t r = i; r < l->R; r += l->H) {
        sum += row[r];
    }
    return sum;
}

static nbt_motion unitwise(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    nbt_motion motion = {l->w_scale, NULL, l->g_scale, l->g_keep, l->act};
    nbt_products products;
    nbt_jacobian jacobian = linearise(config, l, &products, &motion, NULL);
    nbt_fill(l->jacobian, 0.0f, l->H * l->H);
    for (size_t i = 0; i < l->H; i++) {
        l->jacobian[i * l->H + i] = l->carry[i];
    }
    nbt_sweep_jacobian(&l->m, l->jacobian, l->act);
    nbt_residual_keep(&jacobian, &l->m, l->g_keep);
    nbt_rng_signs(learner->rng, l->g_scale, l->H);
    for (size_t i = 0; i < l->H; i++) {
        nbt_unit_sums sums = {l->w_square[i], sum_rows(l, l->wg, i), sum_rows(l, l->gg, i)};
        nbt_unit_mix mix = nbt_unitwise_turn(l->v + i * l->H, l->tangent, l->jacobian, &sums,
                                             l->g_keep[i], config->decay, l->g_scale[i], i, l->H);
        l->w_scale[i] = mix.w;
        l->g_scale[i] = mix.g;
        l->w_square[i] = non_negative(mix.w * (mix.w * sums.ww + 2.0f * mix.g * sums.wg) +
                                      mix.g * mix.g * sums.gg);
        for (size_t r = i; r < l->R; r += l->H) { /* from the old w to the new one */
            l->wg[r] = mix.w * l->wg[r] + mix.g * l->gg[r];
            l->wu[r] = mix.w * l->wu[r] + mix.g * l->gu[r];
        }
    }
    sum_traces(l, l->act);
    return motion;
}

nbt_motion nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l)
{
    nbt_intake_gather(learner, l, l->u, l->learning_state, learner->pending - 1);
    switch (learner->config.estimator) {
    case NBT_EST_NOBACKTRACK:
        return nobacktrack(learner, l);
    case NBT_EST_RESIDUAL:
        return residual(learner, l);
    case NBT_EST_UNITWISE:
        return unitwise(learner, l);
    case NBT_EST_SNAP1:
        return snap1(&learner->config, l);
    default: {
        nbt_motion none = {NULL, NULL, NULL, NULL, NULL};
        if (NBT_IS_EXACT(l)) {
            nbt_rtrl_advance(&learner->config, l);
        } else {
            frozen(&learner->config, l);
        }
        return none;
    }
    }
}

int nbt_estimate_is_bounded(const nbt_layout *l)
{
    int good = 1;
    for (size_t n = 0; n < l->N && l->v != NULL; n++) {
        const float *v = l->v + n * l->S;
        good &= l->w_square[n] < NORM_LIMIT && nbt_abs(l->w_scale[n]) < NBT_HUGE;
        good &= nbt_dot(v, v, l->S) < NBT_HUGE;
    }
    for (size_t i = 0; i < l->H && l->m.g != NULL; i++) {
        good &= l->g_square[i] < NORM_LIMIT;
    }
    if (NBT_IS_EXACT(l)) {
        good &= nbt_rtrl_square(l) < NBT_HUGE;
    }
    return good;
}
