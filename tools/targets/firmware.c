/* The least firmware: one learner, one loop. What it links is what a product has of the kernel in
 * flash; step_begin and step_end are where count.c counts; a processor that counts
 * itself has its own (start_avr.c). */
#include "nbt.h"
#include "semihosting.h"
#include "stream.h"

static NBT_ARENA(arena, MODEL_BYTES);

__attribute__((noinline, weak)) void step_begin(void)
{
    __asm__ volatile("");
}

__attribute__((noinline, weak)) void step_end(void)
{
    __asm__ volatile("");
}

static void read_sample(float *x, uint32_t step)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        union {
            uint32_t bits;
            float value;
        } word = {stream_bits[step % SAMPLES][i]};
        x[i] = word.value;
    }
}

int main(void)
{
    /* The model's: the kernel has no other. */
    nbt_config config = nbt_config_for(CHANNELS, 1, MODEL_HIDDEN, MODEL_CELL, NBT_LINK_GAUSSIAN);
    nbt_learner *learner;
    float x[CHANNELS], y;
    if (nbt_init(arena, sizeof arena, &config, &learner) != NBT_OK) {
        return 1;
    }
#if MODEL_FOLLOW
    const int32_t anchor[1] = {0};
    if (nbt_anchor_set(learner, anchor) != NBT_OK) {
        return 1;
    }
#endif
    read_sample(x, 0);
    nbt_predict(learner, &y, x);
    for (uint32_t step = 1; step <= STEPS; step++) {
        read_sample(x, step);
        step_begin();
        nbt_learn(learner, x);
        nbt_predict(learner, &y, x);
        step_end();
    }
    return 0;
}
