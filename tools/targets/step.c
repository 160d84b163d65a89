/* The firmware of learners with one kernel and any configurations (model.h, written by counting.py),
 * one after the other, each fed with a stream that never ends: waves and noise of usual size, which
 * is what the cost of a usual step needs. step_begin and step_end are where profile.c counts, once
 * the units have settled, and step_next where the next learner begins. */
#include "nbt.h"
#include "model.h"
#include "semihosting.h"

static NBT_ARENA(arena, MODEL_BYTES);

__attribute__((noinline)) void step_begin(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void step_end(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void step_next(void)
{
    __asm__ volatile("");
}

/* A triangle wave for every channel, and uniform noise (Numerical Recipes' generator). */
static float sample(uint32_t step, uint32_t channel, uint32_t *noise)
{
    uint32_t period = 16 + 8 * (channel % 5), phase = (step + 3 * channel) % period;
    uint32_t height = phase < period / 2 ? phase : period - phase;
    *noise = *noise * 1664525u + 1013904223u;
    return (float)height / (float)period * 4.0f - 1.0f + (float)(*noise >> 8) * 0x1p-24f;
}

static int steps_of(const nbt_config *config)
{
    static float x[MODEL_INPUTS], y[MODEL_OUTPUTS], label[MODEL_OUTPUTS];
    static int32_t anchor[MODEL_OUTPUTS];
    uint32_t noise = 1, waits = config->max_delay + 1;
    nbt_learner *learner;
    if (nbt_init(arena, sizeof arena, config, &learner) != NBT_OK) {
        return 1;
    }
    for (uint32_t o = 0; o < config->n_out; o++) {
        anchor[o] = (int32_t)(o % config->n_in);
    }
    if (config->anchored && nbt_anchor_set(learner, anchor) != NBT_OK) {
        return 2;
    }
    for (uint32_t step = 0; step < WARM + STEPS + waits; step++) {
        for (uint32_t i = 0; i < config->n_in; i++) {
            x[i] = sample(step, i, &noise);
        }
        for (uint32_t o = 0; o < config->n_out; o++) {
            float value = x[o % config->n_in];
            label[o] = config->link == NBT_LINK_GAUSSIAN ? value : (float)(value > 0.5f);
        }
        if (step >= WARM + waits) {
            step_begin();
        }
        if (step >= waits && nbt_learn(learner, label) < 0) {
            return 3;
        }
        if (nbt_predict(learner, y, x) < 0) {
            return 4;
        }
        if (step >= WARM + waits) {
            step_end();
        }
    }
    return 0;
}

int main(void)
{
    for (uint32_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        int failed = steps_of(&models[i]);
        if (failed != 0) {
            return failed;
        }
        step_next();
    }
    return 0;
}
