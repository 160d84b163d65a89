#include "nbt_assess.h"
#include "nbt_correct.h"
#include "nbt_estimate.h"
#include "nbt_experts.h"
#include "nbt_follow.h"
#include "nbt_intake.h"
#include "nbt_layout.h"
#include "nbt_math.h"
#include "nbt_resonator.h"
#include "nbt_rng.h"
#include "nbt_watch.h"

/* Time constant of unit i, log-spaced from tau_min to tau_max within each kind of units. */
static float time_constant(const nbt_layout *l, size_t i)
{
    float low = nbt_log(l->config->tau_min);
    float high = nbt_log(l->config->tau_max);
    size_t gated = l->H - nbt_resonators(l);
    size_t n = i < gated ? gated : l->H - gated;
    i -= i < gated ? 0 : gated;
    float place = n > 1 ? (float)i / (float)(n - 1) : 0.5f;
    return nbt_exp(low + place * (high - low));
}

/* The bias that replaces the random one for gates with a time constant; gate is row / H. */
static float gate_bias(uint32_t cell, size_t gate, float tau, float drawn)
{
    float open = nbt_log(tau - 1.0f); /* sigmoid(-open) = 1 / tau */
    switch (cell) {
#define CASE(NAME, name, gates, parts, leaks, slow, fast, alone) \
    case NBT_CELL_##NAME: return (slow) >> gate & 1 ? -open : (fast) >> gate & 1 ? open : drawn;
        NBT_CELL_LIST(CASE)
#undef CASE
    default: return drawn;
    }
}

/* The same for the rows of a resonator: [nu, w_a] of gate 0, [omega, w_b] of gate 1. The golden
 * ratio spreads the angles over the band. A third of the units has angle 0: they only remember. */
static float resonator_start(const nbt_layout *l, size_t unit, size_t gate, size_t col, float drawn)
{
    if (col > 0) {
        return col + 1 < l->D ? drawn : 0.3f * drawn;
    }
    if (gate == 0) {
        return nbt_clamp(-nbt_log(time_constant(l, unit)), NBT_NU_MIN, NBT_NU_MAX);
    }
    size_t k = unit - (l->H - nbt_resonators(l));
    float turns = 0.618034f * (float)k;
    return k % 3 == 0 ? 0.0f : 3.14159265f * (turns - (float)(size_t)turns);
}

static void init_theta(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    /* A uniform number in [-1, 1) has standard deviation 1 / sqrt(3). */
    size_t states = l->D - (l->Z - l->E); /* columns that see states */
    float recurrent = config->recurrent_gain * nbt_sqrt(3.0f / (float)(states > 0 ? states : 1));
    float input = config->input_gain * nbt_sqrt(3.0f / (float)(l->Z - l->E - 1));
    for (size_t row = 0; row < l->R; row++) {
        for (size_t col = 0; col < l->D; col++) {
            float value = nbt_rng_uniform(learner->rng) * (col < states ? recurrent : input);
            size_t unit = row % l->H;
            if (unit >= l->H - nbt_resonators(l)) {
                value = resonator_start(l, unit, row / l->H, col, value);
            } else if (col + 1 == l->D) {
                value = gate_bias(nbt_cell_of(config), row / l->H, time_constant(l, unit), value);
            }
            l->m.theta[nbt_layout_index(l, row, col)] = value;
        }
    }
}

static void init_head(nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = &learner->config;
    /* The range follows from the number of states, not of inputs: a head that one input saturates
     * learns little. */
    float range = config->head_gain * nbt_sqrt(3.0f / (float)(l->E > 0 ? l->E : 1));
    for (size_t k = 0; k < l->Q; k++) {
        for (size_t j = 0; j < l->Z; j++) {
            NBT_OF(l, head)[nbt_layout_head_index(l, k, j)] = nbt_rng_uniform(learner->rng) * range;
        }
    }
}

nbt_status nbt_init(void *memory, size_t bytes, const nbt_config *config, nbt_learner **learner)
{
    if (memory == NULL || config == NULL || learner == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    if (!nbt_config_is_good(config)) {
        return NBT_ERR_CONFIG;
    }
    size_t needed = nbt_layout_of(&l, config, NULL);
    if (bytes < needed) {
        return NBT_ERR_BYTES;
    }
    if ((uintptr_t)memory % 8 != 0) {
        return NBT_ERR_ALIGN;
    }
    memset(memory, 0, needed);
    nbt_learner *self = (nbt_learner *)memory;
    self->config = *config;
    nbt_layout_of(&l, config, self);
    nbt_rng_seed(self->rng, config->seed);
    init_theta(self, &l);
    if (nbt_has_head(&l)) {
        init_head(self, &l);
    }
    for (size_t i = 0; i < l.H && NBT_OF(&l, leak) != NULL; i++) {
        NBT_OF(&l, leak)[i] = 1.0f / time_constant(&l, i);
    }
    nbt_correct_init(&l);
    if (nbt_follows(&l)) {
        nbt_follow_init(&l);
        nbt_experts_init(&l);
        nbt_assess_init(&l);
    }
    nbt_watch_init(self);
    nbt_watch_fill(&l); /* a restored copy must be a valid learner */
    nbt_estimate_clear(&l);
    *learner = self;
    return NBT_OK;
}

nbt_status nbt_reset_state(nbt_learner *learner)
{
    if (learner == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    nbt_ring ring = nbt_intake_ring(learner, &l);
    nbt_fill(l.state, 0.0f, l.S);
    nbt_fill(nbt_learning_state(&l), 0.0f, l.S);
    nbt_fill(l.ring, 0.0f, ring.capacity * ring.n_in);
    if (nbt_follows(&l)) {
        nbt_ring taps = nbt_experts_taps(learner, &l);
        nbt_fill(taps.data, 0.0f, taps.capacity * taps.n_in);
    }
    if (nbt_waits(&l)) {
        nbt_ring waiting = nbt_experts_waiting(learner, &l);
        nbt_fill(waiting.data, 0.0f, waiting.capacity * waiting.n_in);
    }
    nbt_estimate_clear(&l);
    learner->column = 0;
    learner->pending = 0;
    learner->looked = 0;
    learner->quarantine = 0;
    return NBT_OK;
}

nbt_status nbt_reseed(nbt_learner *learner, uint64_t seed)
{
    if (learner == NULL) {
        return NBT_ERR_NULL;
    }
    /* Another seed than in nbt_init, so that the weights are not drawn a second time. */
    nbt_rng_seed(learner->rng, seed ^ 0x9fb21c651e98df25u);
    return NBT_OK;
}

nbt_status nbt_anchor_set(nbt_learner *learner, const int32_t *channel)
{
    if (learner == NULL || channel == NULL) {
        return NBT_ERR_NULL;
    }
    if (!NBT_FOLLOW || learner->config.anchored == 0) {
        return NBT_ERR_ARRAY;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    int good = learner->counters.predictions == 0;
    for (size_t o = 0; o < l.O; o++) {
        good &= channel[o] >= -1 && channel[o] < (int32_t)learner->config.n_in;
    }
    for (size_t o = 0; o < l.O && good; o++) {
        NBT_OF(&l, anchor)[o] = (float)channel[o];
    }
    return good ? NBT_OK : NBT_ERR_CONFIG;
}

nbt_status nbt_levels_set(nbt_learner *learner, const float *level)
{
    if (learner == NULL || level == NULL) {
        return NBT_ERR_NULL;
    }
    nbt_layout l;
    nbt_layout_of(&l, &learner->config, learner);
    size_t V = nbt_intervals(&l);
    if (V == 0) {
        return NBT_ERR_ARRAY;
    }
    int good = learner->counters.predictions == 0;
    for (size_t i = 0; i < V; i++) {
        good &= level[i] > (i > 0 ? level[i - 1] : 0.0f) && level[i] < 1.0f;
    }
    if (good) {
        nbt_assess_levels(&l, level);
    }
    return good ? NBT_OK : NBT_ERR_CONFIG;
}
