#include "nbt_watch.h"

#include "nbt_assess.h"
#include "nbt_correct.h"
#include "nbt_estimate.h"
#include "nbt_experts.h"
#include "nbt_link.h"
#include "nbt_math.h"
#include "nbt_rtrl.h"

/* A loss counts as at most LOSS_MAX levels. The level is the running mean of the loss; a loss of up
 * to twice the level is attributed to chance. */
#define LOSS_MAX 4.0f
#define LOSS_USUAL 2.0f
#define LEVEL_RATE 1e-3f
/* As a share of the loss of an untrained learner: below it, no rise matters. */
#define LEVEL_MIN 1e-4f

#define OLD 16777216u
#define AGE_LABELS 1024

/* ---- alarm ----------------------------------------------------------------------------------- */

static void restart_watch(nbt_learner *learner)
{
    learner->level = nbt_link_start_level(&learner->config);
    learner->seen = 0.0f;
    learner->alarm = 0.0f;
}

NBT_LOCAL void nbt_watch_init(nbt_learner *learner)
{
    restart_watch(learner);
    learner->copy = NBT_COPY_NONE;
    learner->quarantine = 0;
    learner->opened = 0;
}

/* The distance of the inputs from the values that they were scaled by, in units comparable with a
 * loss: 2 if all are 8 standard deviations off. */
static float off_scale(const nbt_learner *learner, const nbt_layout *l)
{
    const float *x = l->u + l->E;
    size_t n = l->Z - l->E - 1;
    return learner->config.scale_steps == 0 || nbt_follows(l)
               ? 0.0f
               : nbt_dot(x, x, n) / (32.0f * (float)n);
}

/* Updates a one-sided cumulative sum (Page 1954) of the loss in units of its running mean, or of
 * the distance of the inputs if that is larger. */
static void count_loss(nbt_learner *learner, float loss, float off)
{
    /* Written so that NaN and infinity count as LOSS_MAX. */
    float ratio = nbt_select(loss < LOSS_MAX * learner->level, loss / learner->level, LOSS_MAX);
    float rate = 1.0f / (learner->seen + 1.0f); /* the start value counts as one label */
    rate = nbt_select(rate < LEVEL_RATE, LEVEL_RATE, rate);
    float floor = LEVEL_MIN * nbt_link_start_level(&learner->config);
    float level = learner->level * (1.0f + rate * (ratio - 1.0f));
    learner->level = nbt_select(level < floor, floor, level);
    learner->seen += nbt_select(learner->seen < 16777216.0f, 1.0f, 0.0f);
    ratio = nbt_select(off > ratio, off, ratio);
    ratio = nbt_select(ratio > LOSS_MAX, LOSS_MAX, ratio);
    /* The usual loss has to be known first. */
    float alarm = nbt_select(learner->seen > (float)learner->config.drift_steps,
                             learner->alarm + (ratio - LOSS_USUAL), 0.0f);
    learner->alarm = nbt_select(alarm > 0.0f, alarm, 0.0f);
}

/* Whether the recurrent weights decay at this label (nbt_watch_act). */
static int ages(const nbt_learner *learner)
{
    uint64_t labels = learner->counters.labels;
    return labels >= OLD && labels % AGE_LABELS == 0 &&
           nbt_estimator_of(&learner->config) != NBT_EST_FROZEN;
}

/* n modulo steps, steps < 2^31, without a 64-bit division, for which small processors need a large
 * routine. */
static uint32_t remainder_of(uint64_t n, uint32_t steps)
{
    uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n;
    if (high == 0) {
        return low % steps;
    }
    uint32_t rest = high % steps;
    for (unsigned bit = 32; bit-- > 0;) {
        rest = rest << 1 | (low >> bit & 1u);
        rest -= rest >= steps ? steps : 0;
    }
    return rest;
}

/* Whether a copy is due at this label. */
static int copies(const nbt_learner *learner)
{
    uint32_t steps = learner->config.rollback_steps;
    return NBT_ROLLBACK && steps > 0 && remainder_of(learner->counters.labels, steps) == 0 &&
           learner->alarm <= 0.0f;
}

/* Whether the alarm is raised: the losses have risen permanently. */
static int alarms(const nbt_learner *learner)
{
    uint32_t steps = learner->config.drift_steps;
    return steps > 0 && learner->alarm >= (LOSS_MAX - LOSS_USUAL) * (float)steps;
}

NBT_LOCAL int nbt_watch_count(nbt_learner *learner, const nbt_layout *l, float loss)
{
    if (learner->config.drift_steps > 0 && !nbt_mixes(l)) {
        count_loss(learner, loss, off_scale(learner, l));
    }
    return ages(learner) || alarms(learner) || copies(learner);
}

/* ---- last good copy -------------------------------------------------------------------------- */

/* Copies n floats from the copy to the learner if `back`, else to the copy. Returns the address of
 * the copy of the next array. */
static float *transfer_array(float *live, float *kept, size_t n, int back)
{
    nbt_copy(back ? live : kept, back ? kept : live, n);
    return kept + n;
}

/* Whether an array is not restored: units that follow the stream do not go back. */
static int stays(const nbt_layout *l, const float *live)
{
    return nbt_follows(l) && (live == l->input_scale || live == l->label_scale);
}

/* Copies all that labels change, from the copy if `back`, else to it, matrices first. */
static void transfer(const nbt_layout *l, int back)
{
    float *kept = l->copy;
    if (!nbt_has_copy(l)) {
        return;
    }
#define TRANSFER(where, name, purpose, content, since, copied, brought, floats) \
    if ((copied) * (brought) != 0) {                                            \
        float *live = NBT_FIND_##where(l, name);                                \
        kept = transfer_array(live, kept, floats, back && !stays(l, live));     \
    }
    NBT_SAVED_OF(TRANSFER, NBT_SKIP, l)
    NBT_SAVED_OF(NBT_SKIP, TRANSFER, l)
#undef TRANSFER
}

NBT_LOCAL void nbt_watch_fill(const nbt_layout *l)
{
    transfer(l, 0);
}

/* ---- actions --------------------------------------------------------------------------------- */

/* Resets the adaptation. The recurrent weights stay, since what they have learnt is still useful;
 * all that adapts to them within a few hundred labels restarts. */
static void reopen(nbt_learner *learner, const nbt_layout *l)
{
    size_t n_in = learner->config.n_in;
    nbt_correct_init(l);
    nbt_assess_open(l);
    if (!nbt_follows(l)) { /* units that follow the stream adapt without it */
        nbt_fill(l->input_scale + 2 * n_in, 0.0f, n_in);
    }
    if (nbt_is_gaussian(l) && !nbt_follows(l)) {
        nbt_fill(l->label_scale + 2 * l->O, 0.0f, l->O);
    }
    learner->opened = learner->counters.labels;
    restart_watch(learner);
}

/* Restores the last good copy. Resets the adaptation if there is none, or if it was restored
 * since. */
static nbt_status recover(nbt_learner *learner, const nbt_layout *l)
{
    nbt_estimate_clear(l);
    learner->alarm = 0.0f;
    if (NBT_ROLLBACK && learner->copy == NBT_COPY_READY) {
        transfer(l, 1);
        learner->copy = NBT_COPY_TAKEN;
        nbt_count(&learner->counters.rolled_back, 1);
        return NBT_ROLLED_BACK;
    }
    reopen(learner, l);
    /* The disturbance may end, and the copy may fit again. */
    if (NBT_ROLLBACK && learner->copy == NBT_COPY_TAKEN) {
        learner->copy = NBT_COPY_READY;
    }
    nbt_count(&learner->counters.reopened, 1);
    return NBT_REOPENED;
}

NBT_LOCAL int nbt_watch_jump(nbt_learner *learner, const nbt_layout *l)
{
    if (learner->config.drift_steps == 0 || !nbt_mixes(l)) {
        return 0;
    }
    if (NBT_ROLLBACK && learner->copy == NBT_COPY_READY) {
        transfer(l, 1); /* the readouts of the copy are in the units of its time, so they are
                           reset */
        learner->copy = NBT_COPY_TAKEN;
        nbt_count(&learner->counters.rolled_back, 1);
        nbt_correct_init_readout(l);
    } else {
        nbt_correct_init(l);
        learner->opened = learner->counters.labels;
    }
    nbt_experts_open(l);
    nbt_assess_open(l);
    nbt_count(&learner->counters.reopened, 1);
    return 1;
}

NBT_LOCAL nbt_status nbt_watch_act(nbt_learner *learner, const nbt_layout *l)
{
    for (size_t i = 0; i < l->R * l->D && ages(learner); i++) {
        l->m.theta[i] *= 1.0f - AGE_LABELS * 2e-8f;
    }
    for (size_t i = 0; i < l->Q * l->Z && ages(learner); i++) {
        NBT_OF(l, head)[i] *= 1.0f - AGE_LABELS * 2e-8f;
    }
    if (alarms(learner)) {
        return recover(learner, l);
    }
    if (copies(learner)) {
        transfer(l, 0);
        learner->copy = NBT_COPY_READY;
    }
    return NBT_OK;
}
