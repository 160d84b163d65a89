#include "nbt_follow.h"

#include "nbt_assess.h"
#include "nbt_correct.h"
#include "nbt_experts.h"
#include "nbt_math.h"
#include "nbt_units.h"

/* The number of values after which the units of an input count as found. When they change before,
 * all readouts restart: weights converted from units that were far too small would have far too
 * small covariances, and would forecast far away. The first value that is limited comes after
 * these. Links other than the gaussian forget slowly. */
#define START (NBT_UNITS_SETTLED + 1.0f)
#define LONG_START NBT_UNITS_BLOCK

static nbt_unit_rules rules_of(const nbt_layout *l)
{
    nbt_unit_rules rules = {l->config->scale_rate, l->config->input_limit, !nbt_is_gaussian(l)};
    return rules;
}

/* Whether a value is accepted as it is, as if it were a scaled one. */
static int is_small(const nbt_layout *l, float z)
{
    float most = l->config->scale_steps > 0 ? NBT_VALUE_LIMIT : NBT_SCALED_LIMIT;
    return nbt_abs(z) <= most; /* NaN fails the comparison */
}

NBT_LOCAL void nbt_follow_init(const nbt_layout *l)
{
    size_t n_in = l->config->n_in;
    int scales = l->config->scale_steps > 0;
    if (!scales || !nbt_is_gaussian(l)) { /* a channel keeps its units as long as all its values are
                                             0 or 1 */
        nbt_fill(NBT_OF(l, units) + 2 * n_in, -1.0f, n_in);
    }
    if (!scales && nbt_is_gaussian(l)) {
        nbt_fill(NBT_OF(l, label_units) + 2 * l->O, -1.0f, l->O);
    }
}

/* Resets what was learnt from values unlike the later ones, and all stored inputs except the newest
 * `kept`. */
static void start_anew(nbt_learner *learner, const nbt_layout *l, size_t kept)
{
    nbt_ring taps = nbt_experts_taps(learner, l);
    nbt_experts_restart(l);
    nbt_assess_open(l);
    for (size_t age = kept; age < taps.capacity; age++) {
        nbt_fill(nbt_ring_slot(&taps, age), 0.0f, taps.n_in);
    }
    learner->quarantine = learner->pending;
    nbt_count(&learner->counters.restarted, 1);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* The units of one output have changed, or it has varied for the first time. */
static void move_output(nbt_learner *learner, const nbt_layout *l, size_t o,
                        const nbt_unit_change *change)
{
    if (change->event == NBT_UNIT_MOVES) {
        nbt_experts_move_output(learner, l, o, change);
        nbt_assess_move(learner, l, o, change);
    } else {
        nbt_experts_begin_output(learner, l, o, change->b);
        nbt_assess_begin(learner, l, o);
    }
}

/* The units of one input have changed, and with them those of the outputs anchored to it. */
static void move_input(nbt_learner *learner, const nbt_layout *l, size_t channel,
                       const nbt_unit_change *change)
{
    if (change->event == NBT_UNIT_MOVES) {
        nbt_experts_move_input(learner, l, channel, change);
        nbt_count(&learner->counters.moved, 1);
    }
    for (size_t o = 0; o < l->O && nbt_is_anchored(l); o++) {
        if (nbt_experts_anchor(l, o) == (float)channel) {
            move_output(learner, l, o, change);
        }
    }
}

/* Counts one input. Returns its values in live and in applied units (nbt_units.h), and whether the
 * applied units have changed. */
NBT_OWN_FRAME static nbt_unit_change count_input(const nbt_layout *l, size_t channel, float z)
{
    size_t n_in = l->config->n_in;
    nbt_scale live = nbt_scale_load(l->input_scale, channel, n_in);
    nbt_unit unit = nbt_units_load(NBT_OF(l, units), channel, n_in);
    int was_flag = unit.deviation < 0.0f;
    nbt_unit_change change = nbt_units_count(&live, &unit, z, rules_of(l));
    int reorders =
        was_flag && unit.deviation >= 0.0f && nbt_is_kalman(l) && !nbt_correct_is_constant_first(l);
    nbt_scale_store(l->input_scale, live, channel, n_in);
    nbt_units_store(NBT_OF(l, units), &unit, channel, n_in);
    if (reorders) {
        nbt_correct_init_covariance(l);
    }
    return change;
}

/* Converts all that was learnt in the units of one input. */
static void follow_units(nbt_learner *learner, const nbt_layout *l, size_t channel,
                         const nbt_unit_change *change)
{
    float start = nbt_is_gaussian(l) ? START : LONG_START;
    if (change->event != NBT_UNIT_STAYS) {
        move_input(learner, l, channel, change);
    }
    if (change->event == NBT_UNIT_MOVES &&
        nbt_scale_load(l->input_scale, channel, l->config->n_in).count <= start) {
        nbt_experts_restart(l);
    }
}

/* Appends a sample that repeats the one before. Returns its place. */
static float *next_sample(nbt_ring *ring, uint32_t *head)
{
    const float *before = nbt_ring_slot(ring, 0);
    ring->head = ring->head + 1 < ring->capacity ? ring->head + 1 : 0;
    *head = (uint32_t)ring->head;
    float *now = nbt_ring_slot(ring, 0);
    nbt_copy(now, before, ring->n_in);
    return now;
}

NBT_OWN_FRAME static float *next_live(nbt_learner *learner, const nbt_layout *l)
{
    nbt_ring ring = nbt_intake_ring(learner, l);
    return next_sample(&ring, &learner->ring_head);
}

NBT_OWN_FRAME static float *next_applied(nbt_learner *learner, const nbt_layout *l)
{
    nbt_ring taps = nbt_experts_taps(learner, l);
    return next_sample(&taps, &learner->taps_head);
}

NBT_OWN_FRAME NBT_LOCAL nbt_status nbt_follow_input(nbt_learner *learner, const nbt_layout *l,
                                                    const float *x, nbt_notice *notice)
{
    const nbt_config *config = &learner->config;
    for (size_t i = 0; i < config->n_in; i++) {
        if (!is_small(l, x[i]) && !(config->hold_missing != 0 && nbt_is_nan(x[i]))) {
            return NBT_ERR_INPUT;
        }
    }
    float *live = next_live(learner, l), *applied = next_applied(learner, l);
    int restarts = 0, jumps = 0;
    for (size_t i = 0; i < config->n_in; i++) {
        notice->stuck |=
            nbt_intake_is_stuck(l->input_run, i, config->n_in, x[i], config->stuck_steps);
        if (nbt_is_nan(x[i])) {
            continue;
        }
        live[i] = applied[i] = x[i];
        if (config->scale_steps > 0) {
            nbt_unit_change change = count_input(l, i, x[i]);
            follow_units(learner, l, i, &change);
            notice->limited |= change.limited;
            restarts |= change.restarts;
            jumps |= change.jumps;
            live[i] = change.live;
            applied[i] = change.applied;
        }
    }
    notice->jumped = jumps;
    if (restarts) {
        start_anew(learner, l, 1);
        for (size_t i = 0; i < config->n_in; i++) {
            applied[i] = nbt_is_nan(x[i]) ? 0.0f : applied[i]; /* the repeated sample was
                                                                  overwritten */
        }
    }
    return NBT_OK;
}

/* ---- labels ---------------------------------------------------------------------------------- */

NBT_OWN_FRAME NBT_LOCAL nbt_status nbt_follow_label(const nbt_layout *l, const float *label,
                                                    int *present, nbt_notice *notice)
{
    const float missing = nbt_from_bits(0x7fc00000u);
    for (size_t o = 0; o < l->O; o++) {
        if (!is_small(l, label[o]) && !nbt_is_nan(label[o])) {
            return NBT_ERR_LABEL;
        }
    }
    for (size_t o = 0; o < l->O; o++) {
        nbt_unit unit = nbt_experts_unit(l, o);
        int stuck = nbt_intake_is_stuck(l->label_run, o, l->O, label[o], l->config->stuck_steps);
        notice->stuck |= stuck;
        nbt_label(l)[o] = stuck || nbt_is_nan(label[o]) || unit.deviation == 0.0f
                              ? missing
                              : nbt_clamp(nbt_units_apply(&unit, label[o]), -NBT_HUGE, NBT_HUGE);
        *present |= !nbt_is_nan(nbt_label(l)[o]);
    }
    return NBT_OK;
}

/* Counts the label of one output without anchor. */
NBT_OWN_FRAME static nbt_unit_change count_label(const nbt_layout *l, size_t o, float z)
{
    nbt_scale live = nbt_scale_load(l->label_scale, o, l->O);
    nbt_unit unit = nbt_units_load(NBT_OF(l, label_units), o, l->O);
    nbt_unit_change change = nbt_units_count(&live, &unit, z, rules_of(l));
    nbt_scale_store(l->label_scale, live, o, l->O);
    nbt_units_store(NBT_OF(l, label_units), &unit, o, l->O);
    return change;
}

/* Stores the label as the anchor of the next forecast, in applied units. */
NBT_OWN_FRAME static void keep_label(const nbt_layout *l, size_t o, float z)
{
    nbt_unit unit = nbt_units_load(NBT_OF(l, label_units), o, l->O);
    NBT_OF(l, last_label)[o] = nbt_clamp(nbt_units_apply(&unit, z), -NBT_HUGE, NBT_HUGE);
}

/* Processes the label of one output without anchor. Returns whether the readouts have to
 * restart. */
static int follow_label(nbt_learner *learner, const nbt_layout *l, size_t o, float z)
{
    if (nbt_mixes(l)) {
        keep_label(l, o, z);
    }
    if (l->config->scale_steps == 0) {
        return 0;
    }
    nbt_unit_change change = count_label(l, o, z);
    if (change.event != NBT_UNIT_STAYS) {
        move_output(learner, l, o, &change);
        nbt_count(&learner->counters.moved, change.event == NBT_UNIT_MOVES);
    }
    if (change.event == NBT_UNIT_FIRST && nbt_mixes(l)) {
        keep_label(l, o, z);
    }
    return change.restarts;
}

NBT_OWN_FRAME NBT_LOCAL void nbt_follow_labelled(nbt_learner *learner, const nbt_layout *l,
                                                 const float *label)
{
    int restarts = 0;
    for (size_t o = 0; o < l->O; o++) {
        if (nbt_experts_anchor(l, o) < 0.0f && !nbt_is_nan(label[o])) {
            restarts |= follow_label(learner, l, o, label[o]);
        }
    }
    if (restarts) {
        start_anew(learner, l, 0);
    }
}
