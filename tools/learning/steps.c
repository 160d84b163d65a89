/* One exported learner on its golden samples, again and again; step_begin and step_end are where
 * tools/targets/count.c counts. */
#include "golden.h"
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

static void read_sample(float *row, uint32_t step)
{
    for (size_t i = 0; i < NBT_MODEL_INPUTS + NBT_MODEL_LABELS; i++) {
        union {
            uint32_t bits;
            float value;
        } word = {golden_bits[step % GOLDEN_STEPS][i]};
        row[i] = word.value;
    }
}

int main(void)
{
    static float row[NBT_MODEL_INPUTS + NBT_MODEL_LABELS], y[NBT_MODEL_OUTPUTS];
    nbt_learner *learner;
    if (nbt_load(arena, sizeof arena, nbt_model_state, sizeof nbt_model_state, &learner) !=
        NBT_OK) {
        return 1;
    }
    nbt_predict(learner, y, row);
    for (uint32_t step = 0; step < STEPS; step++) {
        read_sample(row, step);
        step_begin();
        nbt_learn(learner, row + NBT_MODEL_INPUTS);
        nbt_predict(learner, y, row);
        step_end();
    }
    return 0;
}
