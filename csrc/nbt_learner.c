#include "nbt.h"
#include "nbt_cell.h"
#include "nbt_filter.h"
#include "nbt_intake.h"
#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_readout.h"
#include "nbt_rng.h"
#include "nbt_scaler.h"
#include "nbt_tangent.h"

/* Steps in parameters larger than this count as overflow. */
#define STEP_LIMIT 1e6f
#define NOISE_MIN 1e-8f

/* y = link(V f), scaled units, f = [state; x of u; 1]. */
static void read_out(const nbt_learner *learner, const nbt_layout *l, float *y, const float *state)
{
    nbt_copy(l->f, state, l->H);
    nbt_copy(l->f + l->H, l->u + l->H, l->D - l->H);
    nbt_readout_apply(y, l->readout, l->f, l->O, l->D);
    nbt_link_predict(learner->config.link, y, l->O);
}

/* ---- predict --------------------------------------------------------------------------------- */

nbt_status nbt_predict(nbt_learner *learner, float *y, const float *x)
{
    if (learner == NULL || y == NULL || x == NULL) {
        return NBT_ERR_NULL;
    }
    if (learner->pending > learner->config.max_delay) {
        return NBT_ERR_FULL;
    }
    nbt_layout l = nbt_layout_of(&learner->config, learner);
    nbt_status status = nbt_intake_input(learner, &l, x);
    if (status != NBT_OK) {
        return status;
    }
    nbt_intake_gather(learner, &l, l.u, l.state, 0);
    nbt_sweep_forward(&l.m, l.act, l.u);
    nbt_cell_forward(learner->config.cell, l.H, l.act, l.state, l.leak);
    read_out(learner, &l, y, l.state);
    nbt_intake_unscale(learner, &l, y);
    learner->pending++;
    learner->counters.predictions++;
    return NBT_OK;
}

nbt_status nbt_variance(nbt_learner *learner, float *variance)
{
    if (learner == NULL || variance == NULL) {
        return NBT_ERR_NULL;
    }
    if (learner->config.link != NBT_LINK_GAUSSIAN) {
        return NBT_ERR_LINK;
    }
    nbt_layout l = nbt_layout_of(&learner->config, learner);
    float c = 0.0f;
    if (l.ud != NULL) {
        nbt_intake_gather(learner, &l, l.f, l.state, 0);
        c = nbt_ud_project(l.ud, l.uf, l.f, l.D);
    }
    for (size_t o = 0; o < l.O; o++) {
        float deviation = nbt_scale_deviation(nbt_scale_load(l.label_scale, o, l.O));
        variance[o] = deviation * deviation * l.noise[o] * (1.0f + c);
    }
    return NBT_OK;
}

/* ---- learn ----------------------------------------------------------------------------------- */

/* Forward pass of the learning state, with the estimate of its derivative if there is one.
 * Returns q0 = sum P w w of the new w, and what the sweep has to do to w. */
static float advance(nbt_learner *learner, const nbt_layout *l, nbt_update *update)
{
    const nbt_config *config = &learner->config;
    nbt_intake_gather(learner, l, l->u, l->learning_state, learner->pending - 1);
    if (l->v == NULL) {
        nbt_sweep_forward(&l->m, l->act, l->u);
        nbt_cell_forward(config->cell, l->H, l->act, l->learning_state, l->leak);
        return 0.0f;
    }
    nbt_products products = {l->act, l->da, l->wu, l->uu, 0.0f, 0.0f};
    nbt_sweep_products(&l->m, &products, l->u, l->v);
    nbt_cell_linearise(config->cell, l->H, l->act, l->learning_state, l->leak, l->gain2, l->carry);

    nbt_jacobian jacobian = {{l->act, l->gain2}, l->carry, l->H, l->R, l->parts};
    nbt_tangent_push(&jacobian, l->v, l->da);
    float *u_scale = l->da; /* theta v is used up */
    nbt_rng_signs(learner->rng, u_scale, l->R);
    int plain = config->norm == NBT_NORM_EUCLIDEAN;
    float w_norm = nbt_sqrt(plain ? products.ww_plain : products.ww);
    float u_plain = nbt_dot(l->u, l->u, l->D);
    update->w_scale = nbt_tangent_add(&jacobian, l->v, u_scale, plain ? &u_plain : l->uu,
                                      plain ? 0 : 1, w_norm, config->decay);
    update->u_scale = u_scale;

    /* sum P w w of the new w from the sums of the old one. */
    float q = update->w_scale * update->w_scale * products.ww;
    for (size_t r = 0; r < l->R; r++) {
        q += u_scale[r] * (2.0f * update->w_scale * l->wu[r] + u_scale[r] * l->uu[r]);
    }
    return q > 0.0f ? q : 0.0f;
}

/* l->x = F (I + F^T M F)^-1 t; sets the recurrent step of `update`. Returns f^T C f; *weight is the
 * weight of the sample for the readout covariance. */
static float innovate_kalman(const nbt_learner *learner, const nbt_layout *l, float ww,
                             nbt_update *update, float *weight)
{
    const nbt_config *config = &learner->config;
    uint32_t link = config->link;
    float gain = config->rate * config->info_rate;
    *weight = nbt_link_innovate(link, l->x, l->factor, l->y, l->label, l->noise, l->O);
    nbt_link_factor_transposed(link, l->f_alpha, l->alpha, l->factor, l->y, l->O);
    float c = nbt_ud_project(l->ud, l->uf, l->f, l->D);
    nbt_innovation_solve(link, l->x, l->chol, l->f_alpha, l->factor, l->y, c, gain * ww, l->O);
    nbt_link_factor(link, l->x, l->x, l->factor, l->y, l->O);
    update->step = gain * nbt_dot(l->alpha, l->x, l->O);
    update->keep = 1.0f - config->info_rate;
    update->rate_curvature = config->info_rate * nbt_dot(l->f_alpha, l->f_alpha, l->O);
    update->rate_floor = config->info_rate * config->info_floor;
    return c;
}

/* Bounds on the estimate and on what the updates are about to write; written so that NaN fails. */
static int estimate_is_bounded(const nbt_layout *l, float ww, const nbt_update *update)
{
    return l->v == NULL || (nbt_dot(l->v, l->v, l->S) < NBT_HUGE && ww < NBT_HUGE &&
                            nbt_abs(update->w_scale) < NBT_HUGE);
}

static int update_is_bounded(const nbt_learner *learner, const nbt_layout *l, float ww, float c,
                             const nbt_update *update)
{
    /* |P w| <= sqrt(P) sqrt(sum P w w) and P <= 1 / info_floor (sgd: P = 1). */
    float p_max = l->m.cov == NULL ? 1.0f : 1.0f / learner->config.info_floor;
    float step = nbt_abs(update->step) * nbt_sqrt(ww * p_max);
    return nbt_dot(l->x, l->x, l->O) < NBT_HUGE && c < NBT_HUGE && step < STEP_LIMIT &&
           update->rate_curvature * ww < NBT_HUGE;
}

/* V_o += scale_o x_o direction. */
static void update_readout(const nbt_learner *learner, const nbt_layout *l, const float *direction)
{
    int whitened = learner->config.filter == NBT_FILTER_KALMAN && l->noise != NULL;
    for (size_t o = 0; o < l->O; o++) {
        float scale = whitened ? l->noise[o] * l->x[o] : l->x[o];
        for (size_t j = 0; j < l->D; j++) {
            l->readout[o * l->D + j] += scale * direction[j];
        }
    }
}

/* Running innovation variance of the labelled outputs. */
static void update_noise(const nbt_learner *learner, const nbt_layout *l, float c)
{
    for (size_t o = 0; o < l->O && l->noise != NULL; o++) {
        if (nbt_is_nan(l->label[o])) {
            continue;
        }
        float *count = &l->noise[l->O + o];
        *count += *count < 16777216.0f ? 1.0f : 0.0f;
        float rate = 1.0f / (*count + 1.0f); /* the start value counts as one sample */
        rate = rate < learner->config.noise_rate ? learner->config.noise_rate : rate;
        float error = l->label[o] - l->y[o];
        float noise = l->noise[o] + rate * (error * error / (1.0f + c) - l->noise[o]);
        l->noise[o] = noise < NOISE_MIN ? NOISE_MIN : noise;
    }
}

/* Readout, noise and the scalars of the recurrent step. Returns 0 if a number left its bounds:
 * then no parameter has changed. */
static int learn_label(nbt_learner *learner, const nbt_layout *l, float ww, nbt_update *update)
{
    const nbt_config *config = &learner->config;
    for (size_t o = 0; o < l->O; o++) {
        l->alpha[o] = l->v == NULL ? 0.0f : nbt_dot(l->readout + o * l->D, l->v, l->H);
    }
    float c = 0.0f;
    float weight = 0.0f;
    const float *direction = l->f;
    if (config->filter == NBT_FILTER_KALMAN) {
        c = innovate_kalman(learner, l, ww, update, &weight);
        direction = l->cf;
    } else {
        nbt_link_score(config->link, l->x, l->y, l->label, l->O);
        for (size_t o = 0; o < l->O; o++) {
            l->x[o] *= config->sgd_rate;
        }
        update->step = nbt_dot(l->alpha, l->x, l->O);
    }
    if (!update_is_bounded(learner, l, ww, c, update)) {
        return 0;
    }
    if (config->filter == NBT_FILTER_KALMAN) {
        nbt_ud_measure(l->ud, l->cf, l->uf, weight, l->D);
        nbt_ud_forget(l->ud, l->D, l->H, config->prior_hidden, config->prior, config->forget);
        if (!nbt_ud_is_finite(l->ud, l->D) || !(nbt_dot(l->cf, l->cf, l->D) < NBT_HUGE)) {
            nbt_ud_init(l->ud, l->D, l->H, config->prior_hidden, config->prior);
            return 0;
        }
    }
    update_readout(learner, l, direction);
    update_noise(learner, l, c);
    return 1;
}

nbt_status nbt_learn(nbt_learner *learner, const float *label)
{
    if (learner == NULL || label == NULL) {
        return NBT_ERR_NULL;
    }
    if (learner->pending == 0) {
        return NBT_ERR_EMPTY;
    }
    nbt_layout l = nbt_layout_of(&learner->config, learner);
    int present;
    nbt_status status = nbt_intake_label(learner, &l, label, &present);
    if (status != NBT_OK) {
        return status;
    }
    /* Without a label the sweep moves w along and leaves theta and its covariance. */
    nbt_update update = {.w_scale = 1.0f, .keep = 1.0f};
    float ww = advance(learner, &l, &update);
    int good = estimate_is_bounded(&l, ww, &update);
    if (good && present) {
        read_out(learner, &l, l.y, l.learning_state);
        good = learn_label(learner, &l, ww, &update);
    }
    if (l.v != NULL && good) {
        nbt_sweep_update(&l.m, &update, l.u);
    } else if (l.v != NULL) {
        nbt_fill(l.v, 0.0f, l.S);
        nbt_fill(l.m.w, 0.0f, l.R * l.D);
    }
    learner->pending--;
    learner->counters.labels += (uint64_t)present;
    learner->counters.missing += (uint64_t)!present;
    learner->counters.skipped += (uint64_t)!good;
    return good ? NBT_OK : NBT_SKIPPED;
}

/* ---- streams --------------------------------------------------------------------------------- */

nbt_status nbt_run(nbt_learner *learner, float *y, const float *x, const float *label,
                   size_t steps, size_t horizon, size_t *done)
{
    if (learner == NULL || y == NULL || x == NULL || label == NULL || done == NULL) {
        return NBT_ERR_NULL;
    }
    const nbt_config *config = &learner->config;
    size_t n_label = config->link == NBT_LINK_CATEGORICAL ? 1 : config->n_out;
    *done = 0;
    if (horizon > (size_t)config->max_delay + 1 || learner->pending > horizon) {
        return NBT_ERR_HORIZON;
    }
    for (size_t t = 0; t < steps; t++) {
        nbt_status status = NBT_OK;
        if (horizon > 0 && learner->pending == horizon) {
            status = nbt_learn(learner, label + t * n_label);
        }
        if (status >= 0) {
            status = nbt_predict(learner, y + t * config->n_out, x + t * config->n_in);
        }
        if (status >= 0 && horizon == 0) {
            status = nbt_learn(learner, label + t * n_label);
        }
        if (status < 0) {
            return status;
        }
        *done = t + 1;
    }
    return NBT_OK;
}

