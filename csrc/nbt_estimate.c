#include "nbt_estimate.h"

#include "nbt_cell.h"
#include "nbt_intake.h"
#include "nbt_math.h"
#include "nbt_rng.h"
#include "nbt_rtrl.h"
#include "nbt_sweep.h"
#include "nbt_tangent.h"
#include "nbt_unitwise.h"

/* Of sum P w w and sum P g g: with P >= 1e-20 (nbt_kalman.h), entries stay below 1e16. */
#define NORM_LIMIT 1e12f

NBT_LOCAL void nbt_estimate_clear(const nbt_layout *l)
{
    if (nbt_has_w(&l->m)) {
        nbt_fill(l->v, 0.0f, l->N * l->S);
        nbt_fill(l->m.w, 0.0f, l->R * l->D);
    }
    if (nbt_has_g(&l->m)) {
        nbt_fill(l->m.g, 0.0f, l->R * l->D);
    }
    if (nbt_is_residual(l)) {
        nbt_fill(NBT_OF(l, balance), 0.0f, 1 + l->H);
        nbt_fill(NBT_OF(l, balance) + 1 + l->H, 1.0f, l->H);
    }
    if (NBT_IS_EXACT(l)) {
        nbt_fill(NBT_OF(l, exact), 0.0f, l->S * l->R * l->D);
    }
}

static float non_negative(float x)
{
    return nbt_select(x < 0.0f, 0.0f, x);
}

/* ---- looking ahead --------------------------------------------------------------------------- */

/* residual: the tangent of the next step, and how w and g will move in it. The signs are those that
 * the step itself will draw: only a step that is made advances the generator. */
static float aim(const nbt_learner *learner, const nbt_layout *l, float *g_scale)
{
    uint32_t rng[4] = {learner->rng[0], learner->rng[1], learner->rng[2], learner->rng[3]};
    nbt_rng_signs(rng, g_scale, l->H);
    return nbt_residual_aim(NBT_OF(l, tangent), g_scale, NBT_OF(l, balance), l->v, l->H);
}

NBT_LOCAL void nbt_estimate_look(nbt_learner *learner, const nbt_layout *l, size_t age,
                                 const nbt_change *change)
{
    if (!nbt_is_swept(l)) {
        nbt_intake_gather(learner, l, l->u, nbt_learning_state(l), age);
        nbt_sweep_forward(&l->m, l->act, l->u);
        learner->looked = NBT_LOOK_SUMS;
        return;
    }
    /* A change still needs its own u, g_scale and w_scale. */
    float *u = l->cf;
    float *g_scale = change == NULL ? NBT_OF(l, g_scale) : NBT_OF(l, white);
    float w_scale = 0.0f;
    int is_residual = nbt_is_residual(l);
    nbt_intake_gather(learner, l, u, nbt_learning_state(l), age);
    for (size_t j = 0; NBT_LANES > 1 && j < l->D; j++) {
        u[l->D + j] = u[j] * u[j];
    }
    if (is_residual) {
        w_scale = aim(learner, l, g_scale);
    }
    nbt_look look = {{l->act, l->da, l->uu, nbt_wu(l), NBT_OF(l, gu), NBT_OF(l, gg), NBT_OF(l, wg),
                      l->w_square},
                     u, is_residual ? NBT_OF(l, tangent) : l->v, &w_scale, g_scale};
    nbt_sweep(&l->m, change, &look);
    nbt_copy(l->u, u, l->D);
    if (is_residual) {
        nbt_w_scale(l)[0] = w_scale;
    }
    if (is_residual && change != NULL) {
        nbt_copy(NBT_OF(l, g_scale), g_scale, l->H);
    }
    learner->looked = NBT_LOOK_SUMS;
}

/* ---- one step -------------------------------------------------------------------------------- */

NBT_LOCAL void nbt_estimate_step(const nbt_config *config, const nbt_layout *l, float *state)
{
    if (!nbt_is_swept(l)) {
        nbt_cell_forward(nbt_cell_of(config), l->H, l->act, state, NBT_OF(l, leak));
    } else {
        nbt_cell_linearise(nbt_cell_of(config), l->H, l->act, state, NBT_OF(l, leak),
                           NBT_OF(l, gain2), l->carry);
    }
}

static nbt_jacobian jacobian_of(const nbt_layout *l)
{
    nbt_jacobian jacobian = {{l->act, NBT_OF(l, gain2)}, l->carry, l->H, l->R, l->parts};
    return jacobian;
}

static void nobacktrack(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    nbt_jacobian jacobian = jacobian_of(l);
    nbt_tangent_push(&jacobian, l->v, l->v + l->S - l->H, l->da);

    float *u_scale = l->da; /* theta v is used up, and so is the carry */
    float *scratch = l->carry;
    nbt_rng_signs(learner->rng, u_scale, l->R);
    int plain = config->norm == NBT_NORM_EUCLIDEAN;
    int is_plain = !nbt_has_cov(&l->m); /* then the metric is */
    float w_norm = nbt_sqrt(plain && !is_plain ? nbt_sweep_square(&l->m) : l->w_square[0]);
    float u_plain = nbt_dot(l->u, l->u, l->D);
    float scale = nbt_tangent_add(&jacobian, l->v, u_scale, scratch, plain ? &u_plain : l->uu,
                                  plain ? 0 : 1, w_norm, config->decay);
    /* sum P w w of the new w from the sums of the old one. */
    nbt_w_scale(l)[0] = scale;
    float twice = 2.0f * scale;
    for (size_t r = 0; r < l->R; r++) {
        l->uu[r] = twice * nbt_wu(l)[r] + u_scale[r] * l->uu[r];
    }
    float ww = scale * scale * l->w_square[0] + nbt_dot(u_scale, l->uu, l->R);
    l->w_square[0] = non_negative(ww);
}

/* sum P g g and sum P g w of the moved factors, unit by unit, from the sums before the move. */
static void sum_traces(const nbt_layout *l, const float *gain)
{
    nbt_fill(NBT_OF(l, g_square), 0.0f, l->H);
    nbt_fill(NBT_OF(l, g_cross), 0.0f, l->H);
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            float d = NBT_OF(l, g_keep)[i], e = gain[row + i];
            NBT_OF(l, g_square)[i] += d * (d * NBT_OF(l, gg)[row + i] + 2.0f * e * NBT_OF(l, gu)[row + i]) +
                              e * e * l->uu[row + i];
        }
        for (size_t i = 0; i < l->H && nbt_has_w(&l->m); i++) {
            NBT_OF(l, g_cross)[i] += NBT_OF(l, g_keep)[i] * NBT_OF(l, wg)[row + i] +
                                     gain[row + i] * nbt_wu(l)[row + i];
        }
    }
    for (size_t i = 0; i < l->H; i++) {
        NBT_OF(l, g_square)[i] = non_negative(NBT_OF(l, g_square)[i]);
    }
}

static void snap1(const nbt_layout *l)
{
    nbt_jacobian jacobian = jacobian_of(l);
    nbt_residual_keep(&jacobian, &l->m, NBT_OF(l, g_keep), NBT_OF(l, step_g));
    sum_traces(l, l->act);
}

static void residual(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    float *scratch = NBT_OF(l, step_g);
    nbt_rng_skip_signs(learner->rng, l->H); /* g_scale has them already */
    nbt_jacobian jacobian = jacobian_of(l);
    nbt_residual_keep(&jacobian, &l->m, NBT_OF(l, g_keep), scratch);
    nbt_tangent_push(&jacobian, l->v, NBT_OF(l, tangent), l->da);
    nbt_residual_rest(l->v, NBT_OF(l, g_keep), NBT_OF(l, g_scale), config->decay, l->H);
    sum_traces(l, l->act);

    NBT_OF(l, balance)[0] = l->w_square[0];
    nbt_copy(NBT_OF(l, balance) + 1, NBT_OF(l, g_square), l->H);
    NBT_OF(l, balance)[1 + l->H + learner->column] =
        nbt_residual_column(&jacobian, &l->m, learner->column, scratch);
    learner->column = (learner->column + 1) * (uint32_t)(learner->column + 1 < l->H);
}

/* out (H) = sum over the rows of every unit. */
static void sum_rows(const nbt_layout *l, float *out, const float *row_values)
{
    nbt_fill(out, 0.0f, l->H);
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            out[i] += row_values[row + i];
        }
    }
}

/* Sums with the old w to those with w_scale w + g_scale g. */
static void move_sums(const nbt_layout *l)
{
    for (size_t i = 0; i < l->H; i++) {
        float w = nbt_w_scale(l)[i], g = NBT_OF(l, g_scale)[i];
        l->w_square[i] = non_negative(w * (w * l->w_square[i] + 2.0f * g * NBT_OF(l, g_cross)[i]) +
                                      g * g * NBT_OF(l, g_square)[i]);
    }
    for (size_t row = 0; row < l->R; row += l->H) {
        for (size_t i = 0; i < l->H; i++) {
            float w = nbt_w_scale(l)[i], g = NBT_OF(l, g_scale)[i];
            NBT_OF(l, wg)[row + i] = w * NBT_OF(l, wg)[row + i] + g * NBT_OF(l, gg)[row + i];
            nbt_wu(l)[row + i] = w * nbt_wu(l)[row + i] + g * NBT_OF(l, gu)[row + i];
        }
    }
}

static void unitwise(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    nbt_jacobian jacobian = jacobian_of(l);
    nbt_fill(NBT_OF(l, jacobian), 0.0f, l->H * l->H);
    for (size_t i = 0; i < l->H; i++) {
        NBT_OF(l, jacobian)[i * l->H + i] = l->carry[i];
    }
    nbt_sweep_jacobian(&l->m, NBT_OF(l, jacobian), l->act);
    nbt_residual_keep(&jacobian, &l->m, NBT_OF(l, g_keep), NBT_OF(l, step_g));
    nbt_rng_signs(learner->rng, NBT_OF(l, g_scale), l->H);
    sum_rows(l, NBT_OF(l, g_cross), NBT_OF(l, wg));
    sum_rows(l, NBT_OF(l, g_square), NBT_OF(l, gg));
    nbt_units units = {l->w_square, NBT_OF(l, g_cross), NBT_OF(l, g_square), NBT_OF(l, g_scale),
                       NBT_OF(l, g_keep),   nbt_w_scale(l), NBT_OF(l, g_scale)};
    nbt_unitwise_turn(&units, l->v, NBT_OF(l, jacobian), config->decay, NBT_OF(l, tangent), l->H);
    move_sums(l);
    sum_traces(l, l->act);
}

NBT_LOCAL void nbt_estimate_advance(nbt_learner *learner, const nbt_layout *l)
{
    if (NBT_IS_EXACT(l)) {
        nbt_rtrl_advance(&learner->config, l);
    } else if (learner->looked == NBT_LOOK_STEP) {
        nbt_copy(nbt_learning_state(l), l->state, l->S);
    } else {
        nbt_estimate_step(&learner->config, l, nbt_learning_state(l));
    }
    learner->looked = NBT_LOOK_NONE;
    switch (nbt_estimator_of(&learner->config)) {
    case NBT_EST_NOBACKTRACK:
        nobacktrack(learner, l);
        break;
    case NBT_EST_RESIDUAL:
        residual(learner, l);
        break;
    case NBT_EST_UNITWISE:
        unitwise(learner, l);
        break;
    case NBT_EST_SNAP1:
        snap1(l);
        break;
    default:
        break;
    }
}

NBT_LOCAL int nbt_estimate_is_bounded(const nbt_layout *l)
{
    int good = 1;
    for (size_t n = 0; n < l->N && nbt_has_w(&l->m); n++) {
        const float *v = l->v + n * l->S;
        good &= l->w_square[n] < NORM_LIMIT && nbt_abs(nbt_w_scale(l)[n]) < NBT_HUGE;
        good &= nbt_dot(v, v, l->S) < NBT_HUGE;
    }
    for (size_t i = 0; i < l->H && nbt_has_g(&l->m); i++) {
        good &= NBT_OF(l, g_square)[i] < NORM_LIMIT;
    }
    if (NBT_IS_EXACT(l)) {
        good &= nbt_rtrl_square(l) < NBT_HUGE;
    }
    return good;
}
