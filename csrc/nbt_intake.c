#include "nbt_intake.h"

#include "nbt_link.h"
#include "nbt_math.h"
#include "nbt_scaler.h"

#define RUN_MAX 16777216.0f /* floats count exactly up to here */

NBT_LOCAL nbt_ring nbt_intake_ring(const nbt_learner *learner, const nbt_layout *l)
{
    nbt_ring ring = {l->ring, (size_t)learner->config.max_delay + learner->config.lags,
                     learner->config.n_in, learner->ring_head};
    return ring;
}

NBT_LOCAL void nbt_intake_gather(const nbt_learner *learner, const nbt_layout *l, float *u,
                                 const float *state, size_t age)
{
    nbt_ring ring = nbt_intake_ring(learner, l);
    nbt_copy(u, state, l->E);
    nbt_ring_taps(&ring, u + l->E, age, learner->config.lags);
    u[l->Z - 1] = 1.0f;
}

/* A channel after one value: the statistics, the value itself, possibly limited, and the scaled
 * value. */
typedef struct intake {
    nbt_scale scale;
    float value;
    float scaled;
    int accepted;
} intake;

/* held: the scaled value that replaces a NaN if `holds`; the channel then counts nothing. */
NBT_INLINE_LANES intake take(const nbt_config *config, const float *stats, size_t channel, size_t n,
                             float z, float limit, int holds, float held)
{
    nbt_scale before = nbt_scale_load(stats, channel, n);
    int missing = holds & nbt_is_nan(z);
    intake in = {before, nbt_scale_clip(before, z, config->scale_steps, limit), 0.0f, 0};
    in.accepted = missing | nbt_scale_try(&in.scale, &in.scaled, in.value, config->scale_steps,
                                          config->scale_rate);
    in.scale.mean = nbt_select(missing, before.mean, in.scale.mean);
    in.scale.variance = nbt_select(missing, before.variance, in.scale.variance);
    in.scale.count = nbt_select(missing, before.count, in.scale.count);
    in.scaled = nbt_select(missing, held, in.scaled);
    return in;
}

/* Computes scaled (n) of the values z (n) without changing the learner. Returns whether all are
 * accepted. */
NBT_INLINE_LANES int take_all(const nbt_config *config, const float *NBT_RESTRICT stats, size_t n,
                              const float *NBT_RESTRICT z, float limit, int holds,
                              const float *NBT_RESTRICT held, float *NBT_RESTRICT scaled)
{
    int accepted = 1;
    for (size_t i = 0; i < n; i++) {
        intake in = take(config, stats, i, n, z[i], limit, holds, held[i]);
        scaled[i] = in.scaled;
        accepted &= in.accepted;
    }
    return accepted;
}

NBT_LOCAL int nbt_intake_is_stuck(float *runs, size_t channel, size_t n, float x, uint32_t steps)
{
    if (steps == 0 || nbt_is_nan(x)) {
        return 0;
    }
    float *count = &runs[n + channel];
    int same = *count > 0.0f && runs[channel] == x;
    runs[channel] = x;
    *count = !same ? 1.0f : *count < RUN_MAX ? *count + 1.0f : RUN_MAX;
    return *count > (float)steps;
}

NBT_LOCAL nbt_status nbt_intake_input(nbt_learner *learner, const nbt_layout *l, const float *x,
                                      nbt_notice *notice)
{
    const nbt_config *config = &learner->config;
    size_t n_in = config->n_in;
    nbt_ring ring = nbt_intake_ring(learner, l);
    float *scaled = l->f; /* nothing changes until all channels have been checked */
    int holds = config->hold_missing != 0;
    const float *held = nbt_ring_slot(&ring, 0);
    if (!take_all(config, l->input_scale, n_in, x, config->input_limit, holds, held, scaled)) {
        return NBT_ERR_INPUT;
    }
    for (size_t i = 0; i < n_in; i++) {
        intake in = take(config, l->input_scale, i, n_in, x[i], config->input_limit, holds, 0.0f);
        notice->limited |= in.value != x[i] && !nbt_is_nan(in.value);
        notice->stuck |= nbt_intake_is_stuck(l->input_run, i, n_in, x[i], config->stuck_steps);
        nbt_scale_store(l->input_scale, in.scale, i, n_in);
    }
    ring.head = ring.head + 1 < ring.capacity ? ring.head + 1 : 0;
    nbt_copy(nbt_ring_slot(&ring, 0), scaled, n_in);
    learner->ring_head = (uint32_t)ring.head;
    return NBT_OK;
}

/* Checks gaussian labels, then counts them. */
static nbt_status take_values(const nbt_layout *l, const float *label, int *present,
                              nbt_notice *notice)
{
    const nbt_config *config = l->config;
    size_t n = l->O;
    if (!take_all(config, l->label_scale, n, label, 0.0f, 1, label, nbt_label(l))) {
        return NBT_ERR_LABEL;
    }
    for (size_t o = 0; o < n; o++) {
        intake in = take(config, l->label_scale, o, n, label[o], 0.0f, 1, 0.0f);
        nbt_scale_store(l->label_scale, in.scale, o, n);
        if (nbt_intake_is_stuck(l->label_run, o, n, label[o], config->stuck_steps)) {
            notice->stuck = 1;
            nbt_label(l)[o] = nbt_from_bits(0x7fc00000u);
        }
        *present |= !nbt_is_nan(nbt_label(l)[o]);
    }
    return NBT_OK;
}

NBT_LOCAL nbt_status nbt_intake_label(const nbt_layout *l, const float *label, int *present,
                                      nbt_notice *notice)
{
    *present = 0;
    if (nbt_is_gaussian(l)) {
        return take_values(l, label, present, notice);
    }
    for (size_t o = 0; o < nbt_link_labels(l->config); o++) {
        nbt_label(l)[o] = label[o];
        if (nbt_is_nan(label[o])) {
            continue;
        }
        if (!nbt_link_is_label(l, label[o])) {
            return NBT_ERR_LABEL;
        }
        *present = 1;
    }
    return NBT_OK;
}

NBT_LOCAL void nbt_intake_unscale(const nbt_layout *l, float *y)
{
    for (size_t o = 0; o < l->O && nbt_is_gaussian(l); o++) {
        nbt_scale scale = nbt_scale_load(l->label_scale, o, l->O);
        y[o] = scale.mean + nbt_scale_deviation(scale) * y[o];
    }
}
