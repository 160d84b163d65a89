#include "nbt_experts.h"

#include "nbt_correct.h"
#include "nbt_linear.h"
#include "nbt_math.h"
#include "nbt_mixture.h"
#include "nbt_rls.h"
#include "nbt_ud.h"

/* ---- sizes and places ------------------------------------------------------------------------ */

/* Floats stored per waiting forecast of one output: the experts' forecasts and the answer; without
 * a mixture the anchor, and the answer if it is assessed. Those of nbt_assess.h follow. */
static size_t n_forecasts(const nbt_layout *l)
{
    return NBT_WAITING_((size_t)nbt_is_slow(l), nbt_mixes(l), nbt_linear_lags(l),
                        (size_t)nbt_assesses(l));
}

static size_t n_waiting(const nbt_layout *l)
{
    return n_forecasts(l) + NBT_BOUNDS_(nbt_intervals(l));
}

/* Index of the full readout among the forecasts; the slow one follows. */
static size_t full_at(const nbt_layout *l)
{
    return nbt_linear_lags(l) > 0 ? 2 : 1;
}

NBT_LOCAL nbt_ring nbt_experts_taps(const nbt_learner *learner, const nbt_layout *l)
{
    const nbt_config *config = l->config;
    nbt_ring ring = {NBT_OF(l, taps),
                     NBT_TAPS_((size_t)config->lags, (size_t)config->max_delay, nbt_linear_lags(l)),
                     config->n_in, learner->taps_head};
    return ring;
}

NBT_LOCAL nbt_ring nbt_experts_waiting(const nbt_learner *learner, const nbt_layout *l)
{
    nbt_ring ring = {NBT_OF(l, waiting), (size_t)l->config->max_delay + 1, l->O * n_waiting(l),
                     learner->waiting_head};
    return ring;
}

NBT_LOCAL int nbt_experts_is_channel(float channel, size_t n_in)
{
    return channel == -1.0f ||
           (channel >= 0.0f && channel < (float)n_in && (float)(size_t)channel == channel);
}

NBT_LOCAL float nbt_experts_anchor(const nbt_layout *l, size_t o)
{
    return nbt_is_anchored(l) ? NBT_OF(l, anchor)[o] : -1.0f;
}

NBT_LOCAL nbt_unit nbt_experts_unit(const nbt_layout *l, size_t o)
{
    float channel = nbt_experts_anchor(l, o);
    return channel >= 0.0f ? nbt_units_load(NBT_OF(l, units), (size_t)channel, l->config->n_in)
                           : nbt_units_load(NBT_OF(l, label_units), o, l->O);
}

static nbt_mixture mixture_of(const nbt_layout *l, size_t o)
{
    size_t K = nbt_experts(l);
    nbt_mixture mixture = {NBT_OF(l, weight) + o * K,       NBT_OF(l, regret) + o * K,
                           NBT_OF(l, spread) + o * K,       NBT_OF(l, mix_error) + o,
                           NBT_OF(l, mix_error) + l->O + o, K};
    return mixture;
}

/* The slow readout learns one label in NBT_RLS_PARTS, one part per call. Its forgetting factor
 * accounts for all of them. */
static nbt_rls slow_of(const nbt_layout *l)
{
    const nbt_config *config = l->config;
    float forget = config->slow_forget * config->slow_forget;
    nbt_rls rls = {NBT_OF(l, slow),
                   NBT_OF(l, slow_ud),
                   NBT_OF(l, slow_noise),
                   NBT_OF(l, slow_noise) + l->O,
                   l->F,
                   l->O,
                   l->B,
                   config->prior,
                   config->prior_hidden,
                   forget * forget,
                   config->noise_rate,
                   config->gate,
                   config->prior_units != 0,
                   NBT_OF(l, slow_turn),
                   NBT_OF(l, slow_kept)};
    return rls;
}
NBT_ASSERT(nbt_slow_forgets_for_four, NBT_RLS_PARTS == 4);

/* ---- start ----------------------------------------------------------------------------------- */

NBT_LOCAL void nbt_experts_open(const nbt_layout *l)
{
    for (size_t o = 0; o < l->O && nbt_mixes(l); o++) {
        nbt_mixture mixture = mixture_of(l, o);
        nbt_mixture_init(&mixture);
        if (nbt_linear_lags(l) > 0) {
            nbt_rls linear = nbt_linear_of(l, o);
            nbt_rls_init(&linear);
        }
    }
}

NBT_LOCAL void nbt_experts_restart(const nbt_layout *l)
{
    nbt_correct_init_readout(l);
    nbt_experts_open(l);
    if (nbt_is_slow(l)) {
        nbt_rls slow = slow_of(l);
        nbt_rls_init(&slow);
    }
}

NBT_LOCAL void nbt_experts_init(const nbt_layout *l)
{
    for (size_t o = 0; o < l->O && nbt_is_anchored(l); o++) {
        NBT_OF(l, anchor)[o] = -1.0f;
    }
    nbt_experts_restart(l);
}

/* ---- forecast -------------------------------------------------------------------------------- */

static float bounded_or(float p, float otherwise)
{
    return nbt_abs(p) <= NBT_HUGE ? p : otherwise; /* NaN fails the comparison */
}

/* p_0 of output o for the newest sample x. */
static float anchor_of(const nbt_layout *l, const nbt_ring *taps, const nbt_unit *unit, size_t o,
                       const float *x)
{
    float channel = nbt_experts_anchor(l, o);
    if (channel < 0.0f) {
        return nbt_mixes(l) ? NBT_OF(l, last_label)[o] : 0.0f;
    }
    float z = x[(size_t)channel];
    return nbt_is_nan(z) ? nbt_ring_slot(taps, 0)[(size_t)channel]
                         : nbt_clamp(nbt_units_apply(unit, z), -NBT_HUGE, NBT_HUGE);
}

/* The K forecasts of output o and their mixture, to p (K + 1); f is in the order of the
 * covariance. */
static void mix_forecasts(const nbt_layout *l, const nbt_ring *taps, size_t o, const float *f,
                          float base, float *p)
{
    if (nbt_linear_lags(l) > 0) {
        p[1] = bounded_or(base + nbt_linear_read(l, taps, o), p[0]);
    }
    p[full_at(l)] = bounded_or(base + l->y[o], p[0]);
    if (nbt_is_slow(l)) {
        float read = nbt_dot(NBT_OF(l, slow) + o * l->F, f, l->F);
        p[full_at(l) + 1] = bounded_or(base + read, p[0]);
    }
    nbt_mixture mixture = mixture_of(l, o);
    p[nbt_experts(l)] = nbt_mixture_answer(&mixture, p);
}

NBT_OWN_FRAME NBT_LOCAL void nbt_experts_forecast(nbt_learner *learner, const nbt_layout *l,
                                                  const float *x, float *y)
{
    nbt_ring taps = nbt_experts_taps(learner, l);
    size_t n = n_waiting(l);
    float *p = NULL;
    if (nbt_waits(l)) {
        nbt_ring ring = nbt_experts_waiting(learner, l);
        ring.head = ring.head + 1 < ring.capacity ? ring.head + 1 : 0;
        learner->waiting_head = (uint32_t)ring.head;
        p = nbt_ring_slot(&ring, 0);
        nbt_fill(p, 0.0f, ring.n_in);
    }
    if (nbt_is_slow(l)) {
        nbt_ud_constant_first(l->cf, l->f, l->F, l->B);
    }
    for (size_t o = 0; o < l->O; o++) {
        nbt_unit unit = nbt_experts_unit(l, o);
        float answer = l->y[o];
        if (p != NULL && unit.deviation != 0.0f) {
            float *own = p + o * n;
            own[0] = anchor_of(l, &taps, &unit, o, x);
            float base = nbt_experts_anchor(l, o) >= 0.0f ? own[0] : 0.0f;
            answer += base;
            if (nbt_mixes(l)) {
                mix_forecasts(l, &taps, o, l->cf, base, own);
                answer = own[nbt_experts(l)];
            } else if (nbt_assesses(l)) {
                own[1] = answer;
            }
        }
        nbt_innovation(l)[o] = nbt_units_restore(&unit, answer); /* y may be x */
    }
    nbt_copy(y, nbt_innovation(l), l->O);
}

NBT_LOCAL float nbt_experts_variance(const nbt_layout *l, size_t o, float own)
{
    nbt_unit unit = nbt_experts_unit(l, o);
    float S = unit.deviation > 0.0f ? unit.deviation : 1.0f;
    int knows = nbt_mixes(l) && mixture_of(l, o).labels[0] > 0.0f;
    return S * S * (knows ? mixture_of(l, o).error[0] : own);
}

/* ---- learn ----------------------------------------------------------------------------------- */

NBT_LOCAL float *nbt_experts_waits(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                   size_t age, float **behind)
{
    nbt_ring ring = nbt_experts_waiting(learner, l);
    float *own = nbt_ring_slot(&ring, age) + o * n_waiting(l);
    *behind = own + n_forecasts(l);
    return *behind - 1;
}

static const float *oldest(const nbt_learner *learner, const nbt_layout *l)
{
    nbt_ring ring = nbt_experts_waiting(learner, l);
    return nbt_ring_slot(&ring, learner->pending - 1);
}

/* The target of the readouts of output o for its label. */
static float target_of(const nbt_learner *learner, const nbt_layout *l, size_t o)
{
    float base = nbt_experts_anchor(l, o) >= 0.0f ? oldest(learner, l)[o * n_waiting(l)] : 0.0f;
    return NBT_OF(l, truth)[o] - base;
}

NBT_OWN_FRAME NBT_LOCAL void nbt_experts_target(const nbt_learner *learner, const nbt_layout *l)
{
    nbt_copy(NBT_OF(l, truth), nbt_label(l), l->O);
    for (size_t o = 0; o < l->O; o++) {
        nbt_label(l)[o] = target_of(learner, l, o);
    }
    if (nbt_is_slow(l)) {
        nbt_rls slow = slow_of(l);
        nbt_ud_constant_first(l->cf, l->f, l->F, l->B);
        nbt_rls_offer(&slow, l->cf, nbt_label(l), (uint32_t)learner->counters.labels);
    }
}

static void learn_linear(const nbt_learner *learner, const nbt_layout *l, const nbt_ring *taps,
                         size_t o)
{
    float *f = nbt_linear_features(l, taps, o, learner->pending - 1);
    float target = target_of(learner, l, o);
    nbt_rls linear = nbt_linear_of(l, o);
    nbt_rls_learn(&linear, f, &target, f + linear.n);
}

NBT_OWN_FRAME NBT_LOCAL void nbt_experts_learn(const nbt_learner *learner, const nbt_layout *l)
{
    nbt_ring taps = nbt_experts_taps(learner, l);
    if (!nbt_mixes(l)) {
        return;
    }
    for (size_t o = 0; o < l->O; o++) {
        float truth = NBT_OF(l, truth)[o];
        if (nbt_is_nan(truth)) {
            continue;
        }
        const float *p = oldest(learner, l) + o * n_waiting(l);
        nbt_mixture mixture = mixture_of(l, o);
        nbt_mixture_learn(&mixture, p, p[nbt_experts(l)], truth, l->config->mix_forget);
        if (nbt_linear_lags(l) > 0) {
            learn_linear(learner, l, &taps, o);
        }
    }
    if (nbt_is_slow(l)) {
        nbt_rls slow = slow_of(l);
        nbt_rls_learn_part(&slow);
    }
}

/* ---- changes of units ------------------------------------------------------------------------ */

/* x' = a x + b for the taps of one input. */
NBT_OWN_FRAME static void move_taps(const nbt_learner *learner, const nbt_layout *l, size_t channel,
                                    float a, float b)
{
    nbt_ring taps = nbt_experts_taps(learner, l);
    for (size_t slot = 0; slot < taps.capacity; slot++) {
        float *x = taps.data + slot * taps.n_in + channel;
        *x = nbt_clamp(a * *x + b, -NBT_SCALED_LIMIT, NBT_SCALED_LIMIT);
    }
}

NBT_OWN_FRAME NBT_LOCAL void nbt_experts_move_input(const nbt_learner *learner, const nbt_layout *l,
                                                    size_t channel, const nbt_unit_change *change)
{
    float a = change->a, shift = change->shift;
    size_t n_in = l->config->n_in, lags = l->config->lags;
    int good = 1;
    move_taps(learner, l, channel, a, change->b);
    for (size_t o = 0; o < l->O; o++) {
        good &= nbt_rls_move_row(l->readout + o * l->F, l->F, l->F - 1, l->B + channel, n_in, lags,
                                 a, shift);
    }
    if (nbt_is_kalman(l)) {
        nbt_ud_move(l->ud, l->F, 1 + channel, n_in, lags, a, shift);
    }
    if (!good) {
        nbt_correct_init_readout(l);
    } else if (nbt_is_kalman(l) && !nbt_ud_is_finite(l->ud, l->F)) {
        nbt_correct_init_covariance(l);
    }
    if (nbt_is_slow(l)) {
        nbt_rls slow = slow_of(l);
        nbt_rls_move(&slow, 1 + channel, n_in, lags, a, shift);
    }
    for (size_t o = 0; o < l->O && nbt_linear_lags(l) > 0; o++) {
        if (nbt_experts_anchor(l, o) == (float)channel) {
            nbt_linear_move(l, o, a, shift);
        }
    }
}

/* p' = a p + b for all waiting forecasts of output o. */
static void move_waiting(const nbt_learner *learner, const nbt_layout *l, size_t o, float a,
                         float b)
{
    nbt_ring ring = nbt_experts_waiting(learner, l);
    for (size_t slot = 0; slot < ring.capacity; slot++) {
        float *p = ring.data + slot * ring.n_in + o * n_waiting(l);
        for (size_t k = 0; k < n_forecasts(l); k++) {
            p[k] = nbt_clamp(a * p[k] + b, -NBT_HUGE, NBT_HUGE);
        }
    }
    if (nbt_mixes(l)) {
        float *last = &NBT_OF(l, last_label)[o];
        *last = nbt_clamp(a * *last + b, -NBT_HUGE, NBT_HUGE);
    }
}

NBT_LOCAL void nbt_experts_begin_output(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                        float b)
{
    if (nbt_waits(l)) {
        move_waiting(learner, l, o, 0.0f, b);
    }
}

NBT_LOCAL void nbt_experts_move_output(const nbt_learner *learner, const nbt_layout *l, size_t o,
                                       const nbt_unit_change *change)
{
    float a = change->a;
    float shift =
        nbt_experts_anchor(l, o) >= 0.0f ? 0.0f : change->shift; /* a difference does not shift */
    nbt_rls_rescale_row(l->readout + o * l->F, l->F, l->F - 1, a, shift);
    nbt_rls_rescale_noise(&l->noise[o], a);
    if (nbt_is_slow(l)) {
        nbt_rls slow = slow_of(l);
        nbt_rls_rescale(&slow, o, a, shift);
    }
    if (nbt_linear_lags(l) > 0) {
        nbt_rls linear = nbt_linear_of(l, o);
        nbt_rls_rescale(&linear, 0, a, shift);
    }
    if (nbt_mixes(l)) {
        nbt_mixture mixture = mixture_of(l, o);
        *mixture.error = nbt_clamp(*mixture.error * a * a, 0.0f, 1e37f);
    }
    if (nbt_waits(l)) {
        move_waiting(learner, l, o, a, change->b);
    }
}
