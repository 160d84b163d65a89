#include "nbt_intake.h"

#include "nbt_math.h"
#include "nbt_scaler.h"

#define RUN_MAX 16777216.0f /* floats count so far */

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
    nbt_copy(u, state, l->H);
    nbt_ring_taps(&ring, u + l->H, age, learner->config.lags);
    u[l->D - 1] = 1.0f;
}

/* The channel's statistics and scaled value after *x, which may be brought to its limit, arrives; 0 if
 * it is refused. */
static int try_input(const nbt_learner *learner, const nbt_layout *l, size_t channel, float *x,
                     nbt_scale *scale, float *scaled)
{
    const nbt_config *config = &learner->config;
    nbt_ring ring = nbt_intake_ring(learner, l);
    *scale = nbt_scale_load(l->input_scale, channel, config->n_in);
    if (config->hold_missing && nbt_is_nan(*x)) {
        *scaled = nbt_ring_slot(&ring, 0)[channel];
        return 1;
    }
    *x = nbt_scale_clip(*scale, *x, config->scale_steps, config->input_limit);
    return nbt_scale_try(scale, scaled, *x, config->scale_steps, config->scale_rate);
}

/* Counts x in runs (2, n); whether the channel has now repeated it for more than `steps` samples
 * (0: never). A missing value is not counted. */
static int is_stuck(float *runs, size_t channel, size_t n, float x, uint32_t steps)
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
    size_t n_in = learner->config.n_in;
    nbt_scale scale;
    float scaled;
    /* All channels are checked before the first one changes anything. */
    for (size_t i = 0; i < n_in; i++) {
        float value = x[i];
        if (!try_input(learner, l, i, &value, &scale, &scaled)) {
            return NBT_ERR_INPUT;
        }
    }
    nbt_ring ring = nbt_intake_ring(learner, l);
    ring.head = ring.head + 1 < ring.capacity ? ring.head + 1 : 0;
    for (size_t i = 0; i < n_in; i++) {
        float value = x[i];
        try_input(learner, l, i, &value, &scale, &scaled);
        notice->limited |= value != x[i] && !nbt_is_nan(value);
        notice->stuck |= is_stuck(l->input_run, i, n_in, x[i], learner->config.stuck_steps);
        nbt_scale_store(l->input_scale, scale, i, n_in);
        nbt_ring_slot(&ring, 0)[i] = scaled;
    }
    learner->ring_head = (uint32_t)ring.head;
    return NBT_OK;
}

NBT_LOCAL nbt_status nbt_intake_label(const nbt_learner *learner, const nbt_layout *l,
                                      const float *label, int *present, nbt_notice *notice)
{
    const nbt_config *config = &learner->config;
    size_t n = nbt_link_of(config) == NBT_LINK_CATEGORICAL ? 1 : l->O;
    *present = 0;
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t o = 0; o < n; o++) {
            float value = label[o];
            l->label[o] = value;
            if (nbt_is_nan(value)) {
                continue;
            }
            if (nbt_link_of(config) == NBT_LINK_GAUSSIAN) {
                nbt_scale scale = nbt_scale_load(l->label_scale, o, n);
                if (!nbt_scale_try(&scale, &l->label[o], value, config->scale_steps,
                                   config->scale_rate)) {
                    return NBT_ERR_LABEL;
                }
                /* The first pass only checks, so that a refused label changes nothing. */
                if (pass == 1) {
                    nbt_scale_store(l->label_scale, scale, o, n);
                    if (is_stuck(l->label_run, o, n, value, config->stuck_steps)) {
                        notice->stuck = 1;
                        l->label[o] = nbt_from_bits(0x7fc00000u);
                        continue;
                    }
                }
            } else if (nbt_link_of(config) == NBT_LINK_BERNOULLI) {
                if (!(value >= 0.0f && value <= 1.0f)) {
                    return NBT_ERR_LABEL;
                }
            } else if (!(value >= 0.0f && value < (float)l->O && (float)(size_t)value == value)) {
                return NBT_ERR_LABEL;
            }
            *present |= pass == 1;
        }
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
