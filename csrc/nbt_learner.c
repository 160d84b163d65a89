/* One sample, one label: the algorithm (docs/design.md, sections 2, 3, 6 and 7).
 *
 *   predict    intake     x through the guards and the scaler into the ring
 *              forecast   [the change of the last label, if pending], look
 *                         a = theta u -> cell -> live state, y = link(V f)
 *
 *   learn      intake     the label through the guards and the scaler
 *              advance    look (unless done by predict), the learning state by the oldest waiting
 *                         input, and the estimate of its derivative
 *              correct    the readout, its covariance, the noise; the scalars of the recurrent step
 *              finish     the guard over the loss, and the change of the matrices: with the look at
 *                         the next input if that is present, else it is pending until then
 *
 * Three terms are used in all files of the kernel:
 *   look     computes the row sums of the matrices from which a step starts: theta u, theta_h v,
 *            sum P w w and so on
 *   change   the effect of a step on the matrices: w and g move, theta and P follow
 *   sweep    one pass over the matrices that makes a change, a look, or both, so that each
 *            parameter is read and written once
 * The live state has processed all inputs, the learning state only those whose labels have arrived.
 * The estimate is the derivative of the learning state. */
#include "nbt.h"
#include "nbt_assess.h"
#include "nbt_correct.h"
#include "nbt_estimate.h"
#include "nbt_experts.h"
#include "nbt_follow.h"
#include "nbt_head.h"
#include "nbt_intake.h"
#include "nbt_layout.h"
#include "nbt_link.h"
#include "nbt_math.h"
#include "nbt_rtrl.h"
#include "nbt_scaler.h"
#include "nbt_sweep.h"
#include "nbt_ud.h"
#include "nbt_watch.h"

/* l->f = [state; phi; x; 1] for the sample `age` samples before the newest. x and 1 are those of u,
 * or the applied ones with units that follow the stream. u may be l->f. */
static void gather_features(const nbt_learner *learner, const nbt_layout *l, const float *state,
                            const float *u, size_t age)
{
    float *phi = NBT_OF(l, head_step); /* not in use yet in this step */
    if (nbt_has_head(l)) {
        nbt_head_forward(l, phi, state, u + l->E);
    }
    for (size_t i = l->Z; i-- > l->E;) { /* from the end: u may be l->f */
        l->f[i + l->Q] = u[i];
    }
    nbt_copy(l->f, state, l->E);
    nbt_copy(l->f + l->E, phi, l->Q);
    if (nbt_follows(l)) {
        nbt_ring taps = nbt_experts_taps(learner, l);
        nbt_ring_taps(&taps, l->f + l->B, age, l->config->lags);
    }
}

/* l->y = link(V f), scaled units. */
static void read_out(const nbt_learner *learner, const nbt_layout *l, const float *state,
                     const float *u, size_t age)
{
    gather_features(learner, l, state, u, age);
    for (size_t o = 0; o < l->O; o++) {
        l->y[o] = nbt_dot(l->readout + o * l->F, l->f, l->F);
    }
    nbt_link_predict(l);
}

/* Makes the pending change, if there is one. */
static void settle(const nbt_layout *l, nbt_change **undone)
{
    if (*undone != NULL) {
        nbt_estimate_change(l, *undone);
        *undone = NULL;
    }
}

/* ---- predict --------------------------------------------------------------------------------- */

/* Advances the live state by the newest input and computes the forecast l->y; makes the pending
 * change `undone` in the same pass. If no forecast may wait beyond the next label (max_delay 0),
 * the live state is the learning state, and this step is the one that the label needs. */
NBT_OWN_FRAME static void forecast(nbt_learner *learner, const nbt_layout *l, nbt_change **undone)
{
    if (l->config->max_delay == 0) {
        nbt_estimate_look(learner, l, 0, *undone);
        *undone = NULL;
        nbt_estimate_step(l, l->state);
        learner->looked = NBT_LOOK_STEP;
        read_out(learner, l, l->state, l->u, 0);
    } else {
        settle(l, undone);
        nbt_intake_gather(learner, l, l->f, l->state, 0);
        nbt_estimate_forward(l, l->live, l->f);
        nbt_estimate_move(l, l->live, l->state);
        read_out(learner, l, l->state, l->f, 0);
    }
}

static nbt_status predict(nbt_learner *learner, const nbt_layout *l, float *y, const float *x,
                          nbt_change **undone)
{
    if (learner->pending > l->config->max_delay) {
        return NBT_ERR_FULL;
    }
    nbt_notice notice = {0, 0, 0};
    nbt_status refused = nbt_follows(l) ? nbt_follow_input(learner, l, x, &notice)
                                        : nbt_intake_input(learner, l, x, &notice);
    if (refused != NBT_OK) {
        return refused;
    }
    int opens = 0;
    if (notice.jumped) {
        settle(l, undone);
        opens = nbt_watch_jump(learner, l);
        learner->looked = NBT_LOOK_NONE; /* the look was at the old matrices */
    }
    forecast(learner, l, undone);
    if (nbt_follows(l) && nbt_is_gaussian(l)) {
        nbt_experts_forecast(learner, l, x, y);
        nbt_assess_forecast(learner, l);
    } else {
        nbt_copy(y, l->y, l->O);
        nbt_intake_unscale(l, y);
    }
    int finite = nbt_are_finite(y, l->O);
    learner->pending++;
    /* All waiting forecasts may have been made from the stuck value. */
    learner->quarantine = notice.stuck ? learner->pending : learner->quarantine;
    nbt_count(&learner->counters.predictions, 1);
    nbt_count(&learner->counters.clipped, notice.limited);
    nbt_count(&learner->counters.stuck, notice.stuck);
    return !finite          ? NBT_NOT_FINITE
           : opens          ? NBT_REOPENED
           : notice.stuck   ? NBT_STUCK
           : notice.limited ? NBT_LIMITED
                            : NBT_OK;
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
        gather_features(learner, &l, l.state, l.f, 0);
        c = nbt_ud_project(l.ud, nbt_uf(&l), nbt_correct_features(&l), 0.0f, 0, l.F);
    }
    for (size_t o = 0; o < l.O; o++) {
        float deviation = nbt_scale_deviation(nbt_scale_load(l.label_scale, o, l.O));
        variance[o] = nbt_follows(&l) ? nbt_experts_variance(&l, o, l.noise[o] * (1.0f + c))
                                      : deviation * deviation * l.noise[o] * (1.0f + c);
    }
    return nbt_are_finite(variance, l.O) ? NBT_OK : NBT_NOT_FINITE;
}

/* ---- learn ----------------------------------------------------------------------------------- */

/* One label during the learning step. */
typedef struct learn_step {
    nbt_notice notice; /* interventions of the guards */
    int present;       /* is there any label */
    int good;          /* are all numbers within their bounds */
    float loss;        /* of the forecast, if a label is present */
} learn_step;

/* Checks a label; refuses an invalid one with nothing changed, or stores it. */
NBT_OWN_FRAME static nbt_status intake_label(nbt_learner *learner, const nbt_layout *l,
                                             const float *label, learn_step *now)
{
    if (learner->pending == 0) {
        return NBT_ERR_EMPTY;
    }
    nbt_status refused = nbt_follows(l) && nbt_is_gaussian(l)
                             ? nbt_follow_label(l, label, &now->present, &now->notice)
                             : nbt_intake_label(l, label, &now->present, &now->notice);
    if (refused == NBT_OK && learner->quarantine > 0) {
        learner->quarantine--;
        now->present = 0;
    }
    return refused;
}

/* Advances the learning state and the estimate, and computes the forecast that the label belongs
 * to. */
NBT_OWN_FRAME static void advance(nbt_learner *learner, const nbt_layout *l, learn_step *now)
{
    int has_read = learner->looked == NBT_LOOK_STEP;
    if (learner->looked == NBT_LOOK_NONE) {
        nbt_estimate_look(learner, l, learner->pending - 1, NULL);
    }
    nbt_estimate_advance(learner, l);
    now->good = nbt_estimate_is_bounded(l);
    if (now->good && now->present && !has_read) {
        read_out(learner, l, nbt_learning_state(l), l->u, learner->pending - 1);
    }
}

/* Computes the changes of the label. Without a label, the sweep advances w and g but leaves theta
 * and its covariance unchanged. */
NBT_OWN_FRAME static void correct(nbt_learner *learner, const nbt_layout *l, nbt_change *change,
                                  learn_step *now)
{
    nbt_correct_nothing(l, change);
    if (now->good && now->present) {
        if (nbt_waits(l)) {
            nbt_experts_target(learner, l);
        }
        now->loss = nbt_link_loss(l);
        now->good = nbt_correct(learner, l, &change->update, &now->notice.limited);
        if (now->good && nbt_mixes(l)) {
            nbt_experts_learn(learner, l);
        }
        if (now->good && nbt_has_head(l)) { /* after the experts, which read the forecast */
            nbt_head_change(l, &change->update);
        }
    }
}

/* Updates the counters. */
static void count(nbt_learner *learner, const learn_step *now)
{
    nbt_counters *counters = &learner->counters;
    nbt_count(&counters->labels, now->present);
    nbt_count(&counters->missing, !now->present);
    nbt_count(&counters->skipped, !now->good);
    nbt_count(&counters->limited, now->notice.limited);
    nbt_count(&counters->stuck, now->notice.stuck);
}

/* Changes the matrices, or leaves the change pending. It is made at once if the guard over the loss
 * acts, since that uses all of them. */
static void make_change(nbt_learner *learner, const nbt_layout *l, nbt_change *change, int at_once,
                        nbt_change **undone)
{
    if (at_once) {
        nbt_estimate_change(l, change);
    } else if (learner->pending > 0) {
        nbt_estimate_look(learner, l, learner->pending - 1, change);
    } else {
        *undone = change;
    }
}

/* Updates counters, matrices and the guard over the loss. Returns the status of the step. */
NBT_OWN_FRAME static nbt_status finish(nbt_learner *learner, const nbt_layout *l,
                                       nbt_change *change, learn_step *now, nbt_change **undone)
{
    learner->pending--;
    count(learner, now);
    int acts = now->present && nbt_watch_count(learner, l, now->loss);
    if (!now->good) {
        nbt_estimate_clear(l);
    } else if (NBT_IS_EXACT(l) && now->present) {
        nbt_rtrl_update(l, &change->update);
    } else if (nbt_is_swept(l)) {
        make_change(learner, l, change, acts, undone);
    }
    nbt_status answer = acts ? nbt_watch_act(learner, l) : NBT_OK;
    if (answer == NBT_OK) {
        answer = now->notice.stuck ? NBT_STUCK : now->notice.limited ? NBT_LIMITED : NBT_OK;
    }
    return answer == NBT_OK && !now->good ? NBT_SKIPPED : answer;
}

/* Learns with the units as they are before the label. */
NBT_OWN_FRAME static nbt_status learn_label(nbt_learner *learner, const nbt_layout *l,
                                            const float *label, nbt_change *change,
                                            nbt_change **undone)
{
    learn_step now = {{0, 0, 0}, 0, 0, NBT_HUGE};
    nbt_status refused = intake_label(learner, l, label, &now);
    if (refused != NBT_OK) {
        return refused;
    }
    if (nbt_assesses(l)) {
        nbt_assess_learn(learner, l, label, now.present);
    }
    advance(learner, l, &now);
    correct(learner, l, change, &now);
    return finish(learner, l, change, &now, undone);
}

/* Learns one label. A pending change of the matrices may remain in *undone, which points to
 * *change. */
static nbt_status learn(nbt_learner *learner, const nbt_layout *l, const float *label,
                        nbt_change *change, nbt_change **undone)
{
    nbt_status answer = learn_label(learner, l, label, change, undone);
    if (answer >= 0 && nbt_follows(l) && nbt_is_gaussian(l)) {
        nbt_follow_labelled(learner, l, label);
    }
    return answer;
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

/* Set of the counters that have increased: bit i is counter i of NBT_COUNTER_LIST. */
static uint32_t grown(const nbt_counters *before, const nbt_counters *after)
{
    uint32_t set = 0;
#define GROWN(name, since) \
    set |= after->name != before->name ? (uint32_t)1 << NBT_COUNTER_##name : 0u;
    NBT_COUNTER_LIST(GROWN)
#undef GROWN
    return set;
}

/* Fills row t of the caller's outputs after the forecast, and those of the end. */
static void tell_bounds(const nbt_learner *learner, const nbt_layout *l, const nbt_rows *rows,
                        size_t t)
{
    if (nbt_intervals(l) > 0 && rows->bounds != NULL) {
        nbt_assess_bounds(learner, l, rows->bounds + t * l->O * 2 * nbt_intervals(l));
    }
}

static void tell_scores(const nbt_layout *l, const nbt_rows *rows, size_t t, int has_learnt)
{
    if (nbt_has_anomaly(l) && rows->anomaly != NULL && has_learnt) {
        nbt_assess_scores(l, rows->anomaly + t * l->O);
    } else if (rows->anomaly != NULL) {
        nbt_fill(rows->anomaly + t * l->O, nbt_from_bits(0x7fc00000u), l->O);
    }
}

nbt_status NBT_VERSION(nbt_run)(nbt_learner *learner, const nbt_rows *rows, const float *x,
                                const float *label, size_t steps, size_t horizon, size_t *done)
{
    if (learner == NULL || rows == NULL || rows->y == NULL || x == NULL || label == NULL ||
        done == NULL) {
        return NBT_ERR_NULL;
    }
    const nbt_config *config = &learner->config;
    size_t n_label = nbt_link_labels(config);
    *done = 0;
    if (horizon > (size_t)config->max_delay + 1 || learner->pending > horizon) {
        return NBT_ERR_HORIZON;
    }
    nbt_layout l;
    nbt_layout_of(&l, config, learner);
    if ((rows->bounds != NULL && nbt_intervals(&l) == 0) ||
        (rows->anomaly != NULL && !nbt_has_anomaly(&l))) {
        return NBT_ERR_ARRAY;
    }
    nbt_change change;
    nbt_change *undone = NULL; /* a label's change of the matrices is made in the pass of the next
                                  look */
    nbt_status status = NBT_OK, worst = NBT_OK;
    nbt_counters before = learner->counters;
    for (size_t t = 0; t < steps && status >= 0; t++) {
        int learns = horizon == 0 || learner->pending == horizon;
        if (horizon > 0 && learns) {
            status = learn(learner, &l, label + t * n_label, &change, &undone);
        }
        if (status >= 0) {
            status =
                predict(learner, &l, rows->y + t * config->n_out, x + t * config->n_in, &undone);
            worst = status == NBT_NOT_FINITE ? status : worst;
        }
        if (status >= 0) { /* a label may change the units of the forecasts, so copy them first */
            tell_bounds(learner, &l, rows, t);
        }
        if (status >= 0 && horizon == 0) {
            status = learn(learner, &l, label + t * n_label, &change, &undone);
        }
        *done += status >= 0;
        if (status >= 0) {
            tell_scores(&l, rows, t, learns);
        }
        if (rows->guards != NULL) {
            rows->guards[t] = grown(&before, &learner->counters);
            before = learner->counters;
        }
    }
    settle(&l, &undone);
    return status < 0 ? status : worst;
}
