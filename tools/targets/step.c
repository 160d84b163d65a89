/* The firmware of a learner with any configuration (model.h, written by cost.py), fed with a stream
 * that never ends: waves and noise of usual size, which is what the cost of a usual step needs.
 * step_begin and step_end are where count.c counts, once the units have settled. */
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

/* A triangle wave for every channel, and uniform noise (Numerical Recipes' generator). */
static float sample(uint32_t step, uint32_t channel, uint32_t *noise)
{
    uint32_t period = 16 + 8 * (channel % 5), phase = (step + 3 * channel) % period;
    uint32_t height = phase < period / 2 ? phase : period - phase;
    *noise = *noise * 1664525u + 1013904223u;
    return (float)height / (float)period * 4.0f - 1.0f + (float)(*noise >> 8) * 0x1p-24f;
}

int main(void)
{
    static float x[MODEL_INPUTS], y[MODEL_OUTPUTS], label[MODEL_OUTPUTS];
    uint32_t noise = 1;
    nbt_learner *learner;
    if (nbt_init(arena, sizeof arena, &model_config, &learner) != NBT_OK) {
        return 1;
    }
#if MODEL_ANCHORED
    static const int32_t anchor[MODEL_OUTPUTS] = MODEL_ANCHOR;
    if (nbt_anchor_set(learner, anchor) != NBT_OK) {
        return 1;
    }
#endif
    for (uint32_t step = 0; step < WARM + STEPS + MODEL_WAITS; step++) {
        for (uint32_t i = 0; i < MODEL_INPUTS; i++) {
            x[i] = sample(step, i, &noise);
        }
        for (uint32_t o = 0; o < MODEL_OUTPUTS; o++) {
            float value = x[o % MODEL_INPUTS];
            label[o] = MODEL_REAL ? value : (float)(value > 0.5f);
        }
        if (step >= WARM + MODEL_WAITS) {
            step_begin();
        }
        if (step >= MODEL_WAITS) {
            if (nbt_learn(learner, label) < 0) {
                return 2;
            }
        }
        if (nbt_predict(learner, y, x) < 0) {
            return 3;
        }
        if (step >= WARM + MODEL_WAITS) {
            step_end();
        }
    }
    return 0;
}
