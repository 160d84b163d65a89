#include "nbt.h"
#include "nbt_cell.h"
#include "nbt_correct.h"
#include "nbt_estimate.h"
#include "nbt_filter.h"
#include "nbt_guard.h"
#include "nbt_intake.h"
#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_readout.h"
#include "nbt_rtrl.h"
#include "nbt_scaler.h"

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
    nbt_notice notice = {0, 0};
    nbt_status status = nbt_intake_input(learner, &l, x, &notice);
    if (status != NBT_OK) {
        return status;
    }
    nbt_intake_gather(learner, &l, l.u, l.state, 0);
    nbt_sweep_forward(&l.m, l.act, l.u);
    nbt_cell_forward(learner->config.cell, l.H, l.act, l.state, l.leak);
    read_out(learner, &l, y, l.state);
    nbt_intake_unscale(learner, &l, y);
    learner->pending++;
    /* All that waits may already have been forecast from the stuck value. */
    learner->quarantine = notice.stuck ? learner->pending : learner->quarantine;
    nbt_count(&learner->counters.predictions, 1);
    nbt_count(&learner->counters.clipped, notice.limited);
    nbt_count(&learner->counters.stuck, notice.stuck);
    return notice.stuck ? NBT_STUCK : notice.limited ? NBT_LIMITED : NBT_OK;
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

/* Counts the step and lets the watch look at its loss. */
static nbt_status conclude(nbt_learner *learner, const nbt_layout *l, int present, int good,
                           float loss, const nbt_notice *notice)
{
    nbt_counters *counters = &learner->counters;
    nbt_count(&counters->labels, present);
    nbt_count(&counters->missing, !present);
    nbt_count(&counters->skipped, !good);
    nbt_count(&counters->limited, notice->limited);
    nbt_count(&counters->stuck, notice->stuck);
    nbt_status status = NBT_OK;
    if (present) {
        nbt_guard_age(learner, l);
        status = nbt_guard_watch(learner, l, loss);
    }
    nbt_count(&counters->reopened, status == NBT_REOPENED);
    nbt_count(&counters->rolled_back, status == NBT_ROLLED_BACK);
    if (status == NBT_OK) {
        status = notice->stuck ? NBT_STUCK : notice->limited ? NBT_LIMITED : NBT_OK;
    }
    return status == NBT_OK && !good ? NBT_SKIPPED : status;
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
    nbt_notice notice = {0, 0};
    nbt_status status = nbt_intake_label(learner, &l, label, &present, &notice);
    if (status != NBT_OK) {
        return status;
    }
    if (learner->quarantine > 0) {
        learner->quarantine--;
        present = 0;
    }
    /* Without a label the sweep moves w and g along and leaves theta and its covariance. */
    nbt_update update = nbt_correct_nothing(&l);
    nbt_motion motion = nbt_estimate_advance(learner, &l);
    int good = nbt_estimate_is_bounded(&l);
    float loss = NBT_HUGE;
    if (good && present) {
        read_out(learner, &l, l.y, l.learning_state);
        loss = nbt_link_loss(learner->config.link, l.y, l.label, l.O);
        good = nbt_correct(learner, &l, &update, &notice.limited);
    }
    if (!good) {
        nbt_estimate_clear(&l);
    } else if (NBT_IS_EXACT(&l)) {
        if (present) {
            nbt_rtrl_update(&l, &update);
        }
    } else if (learner->config.estimator != NBT_EST_FROZEN) {
        nbt_sweep_update(&l.m, &motion, &update, l.u);
    }
    learner->pending--;
    return conclude(learner, &l, present, good, loss, &notice);
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

