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

/* y = link(V f), scaled units, f = [state; x; 1] whose x and 1 are those of u. */
static void read_out(const nbt_learner *learner, const nbt_layout *l, float *y, const float *state,
                     const float *u)
{
    nbt_copy(l->f, state, l->H);
    nbt_copy(l->f + l->H, u + l->H, l->D - l->H);
    nbt_readout_apply(y, l->readout, l->f, l->O, l->D);
    nbt_link_predict(nbt_link_of(&learner->config), y, l->O);
}

/* Makes the change that a step has left undone, if there is one. */
static void settle(const nbt_layout *l, nbt_change **undone)
{
    if (*undone != NULL) {
        nbt_sweep(&l->m, *undone, NULL);
        *undone = NULL;
    }
}

/* Whether all of y (n) are numbers. */
static int are_finite(const float *y, size_t n)
{
    int finite = 1;
    for (size_t i = 0; i < n; i++) {
        finite &= nbt_is_finite(y[i]);
    }
    return finite;
}

/* ---- predict --------------------------------------------------------------------------------- */

/* Advances the live state by the newest input and reads l->y out; `undone` is made on the way. Where no
 * forecast may wait longer than to the next label, the live state is the learning state, and this is the
 * step that the label will need. */
static void advance(nbt_learner *learner, const nbt_layout *l, nbt_change **undone)
{
    const nbt_config *config = &learner->config;
    if (config->max_delay == 0) {
        nbt_estimate_look(learner, l, 0, *undone);
        *undone = NULL;
        if (!NBT_IS_EXACT(l)) {
            nbt_estimate_step(config, l, l->state);
            learner->looked = NBT_LOOK_STEP;
        } else {
            nbt_cell_forward(nbt_cell_of(config), l->H, l->act, l->state, NBT_OF(l, leak));
        }
        read_out(learner, l, l->y, l->state, l->u);
    } else {
        settle(l, undone);
        nbt_intake_gather(learner, l, l->f, l->state, 0);
        nbt_sweep_forward(&l->m, l->live, l->f);
        nbt_cell_forward(nbt_cell_of(config), l->H, l->live, l->state, NBT_OF(l, leak));
        read_out(learner, l, l->y, l->state, l->f);
    }
}

static nbt_status predict(nbt_learner *learner, const nbt_layout *l, float *y, const float *x,
                          nbt_change **undone)
{
    if (learner->pending > learner->config.max_delay) {
        return NBT_ERR_FULL;
    }
    nbt_notice notice = {0, 0};
    nbt_status status = nbt_intake_input(learner, l, x, &notice);
    if (status != NBT_OK) {
        return status;
    }
    advance(learner, l, undone);
    nbt_copy(y, l->y, l->O);
    nbt_intake_unscale(l, y);
    int finite = are_finite(y, l->O);
    learner->pending++;
    /* All that waits may already have been forecast from the stuck value. */
    learner->quarantine = notice.stuck ? learner->pending : learner->quarantine;
    nbt_count(&learner->counters.predictions, 1);
    nbt_count(&learner->counters.clipped, notice.limited);
    nbt_count(&learner->counters.stuck, notice.stuck);
    return !finite ? NBT_NOT_FINITE : notice.stuck ? NBT_STUCK : notice.limited ? NBT_LIMITED : NBT_OK;
}

nbt_status NBT_VERSION(nbt_predict)(nbt_learner *learner, float *y, const float *x)
{
    if (learner == NULL || y == NULL || x == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    nbt_change *undone = NULL;
    return predict(learner, &l, y, x, &undone);
}

nbt_status NBT_VERSION(nbt_variance)(nbt_learner *learner, float *variance)
{
    if (learner == NULL || variance == NULL) {
        return NBT_ERR_NULL;
    }
    if (nbt_link_of(&learner->config) != NBT_LINK_GAUSSIAN) {
        return NBT_ERR_LINK;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    float c = 0.0f;
    if (nbt_is_kalman(&l)) {
        nbt_intake_gather(learner, &l, l.f, l.state, 0);
        c = nbt_ud_project(l.ud, nbt_uf(&l), l.f, l.D);
    }
    for (size_t o = 0; o < l.O; o++) {
        float deviation = nbt_scale_deviation(nbt_scale_load(l.label_scale, o, l.O));
        variance[o] = deviation * deviation * l.noise[o] * (1.0f + c);
    }
    return are_finite(variance, l.O) ? NBT_OK : NBT_NOT_FINITE;
}

/* ---- learn ----------------------------------------------------------------------------------- */

/* Counts the step. */
static void count(nbt_learner *learner, int present, int good, const nbt_notice *notice)
{
    nbt_counters *counters = &learner->counters;
    nbt_count(&counters->labels, present);
    nbt_count(&counters->missing, !present);
    nbt_count(&counters->skipped, !good);
    nbt_count(&counters->limited, notice->limited);
    nbt_count(&counters->stuck, notice->stuck);
}

/* Brings the matrices to where the step leaves them, together with the sums of the next one if its input
 * is here already. A change that may wait is left in *undone. */
static void sweep(nbt_learner *learner, const nbt_layout *l, nbt_change *change, nbt_change **undone)
{
    if (learner->pending > 0) {
        nbt_estimate_look(learner, l, learner->pending - 1, change);
    } else {
        *undone = change;
    }
}

/* One label. A change of the matrices may be left in *undone, which lies in *change. */
static nbt_status learn(nbt_learner *learner, const nbt_layout *l, const float *label,
                        nbt_change *change, nbt_change **undone)
{
    if (learner->pending == 0) {
        return NBT_ERR_EMPTY;
    }
    int present;
    nbt_notice notice = {0, 0};
    nbt_status status = nbt_intake_label(learner, l, label, &present, &notice);
    if (status != NBT_OK) {
        return status;
    }
    if (learner->quarantine > 0) {
        learner->quarantine--;
        present = 0;
    }
    int has_read = learner->looked == NBT_LOOK_STEP;
    if (learner->looked == NBT_LOOK_NONE) {
        nbt_estimate_look(learner, l, learner->pending - 1, NULL);
    }
    nbt_estimate_advance(learner, l);
    /* Without a label the sweep moves w and g along and leaves theta and its covariance. */
    nbt_correct_nothing(l, change);
    int good = nbt_estimate_is_bounded(l);
    float loss = NBT_HUGE;
    if (good && present) {
        if (!has_read) {
            read_out(learner, l, l->y, nbt_learning_state(l), l->u);
        }
        loss = nbt_link_loss(nbt_link_of(&learner->config), l->y, nbt_label(l), l->O);
        good = nbt_correct(learner, l, &change->update, &notice.limited);
    }
    learner->pending--;
    count(learner, present, good, &notice);
    int acts = present && nbt_guard_watch(learner, l, loss);
    if (!good) {
        nbt_estimate_clear(l);
    } else if (NBT_IS_EXACT(l) && present) {
        nbt_rtrl_update(l, &change->update);
    } else if (nbt_is_swept(l) && acts) {
        nbt_sweep(&l->m, change, NULL); /* the guard looks at all of it */
    } else if (nbt_is_swept(l)) {
        sweep(learner, l, change, undone);
    }
    status = acts ? nbt_guard_act(learner, l) : NBT_OK;
    if (status == NBT_OK) {
        status = notice.stuck ? NBT_STUCK : notice.limited ? NBT_LIMITED : NBT_OK;
    }
    return status == NBT_OK && !good ? NBT_SKIPPED : status;
}

nbt_status NBT_VERSION(nbt_learn)(nbt_learner *learner, const float *label)
{
    if (learner == NULL || label == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    nbt_change change;
    nbt_change *undone = NULL;
    nbt_status status = learn(learner, &l, label, &change, &undone);
    settle(&l, &undone);
    return status;
}

/* ---- streams --------------------------------------------------------------------------------- */

nbt_status NBT_VERSION(nbt_run)(nbt_learner *learner, float *y, const float *x, const float *label,
                                size_t steps, size_t horizon, size_t *done)
{
    if (learner == NULL || y == NULL || x == NULL || label == NULL || done == NULL) {
        return NBT_ERR_NULL;
    }
    const nbt_config *config = &learner->config;
    size_t n_label = nbt_link_of(config) == NBT_LINK_CATEGORICAL ? 1 : config->n_out;
    *done = 0;
    if (horizon > (size_t)config->max_delay + 1 || learner->pending > horizon) {
        return NBT_ERR_HORIZON;
    }
    nbt_layout l;
    nbt_layout_of(&l, config, learner);
    nbt_change change;
    nbt_change *undone = NULL; /* what a label changes is done when the next input is looked at */
    nbt_status status = NBT_OK, worst = NBT_OK;
    for (size_t t = 0; t < steps && status >= 0; t++) {
        if (horizon > 0 && learner->pending == horizon) {
            status = learn(learner, &l, label + t * n_label, &change, &undone);
        }
        if (status >= 0) {
            status = predict(learner, &l, y + t * config->n_out, x + t * config->n_in, &undone);
            worst = status == NBT_NOT_FINITE ? status : worst;
        }
        if (status >= 0 && horizon == 0) {
            status = learn(learner, &l, label + t * n_label, &change, &undone);
        }
        *done += status >= 0;
    }
    settle(&l, &undone);
    return status < 0 ? status : worst;
}
