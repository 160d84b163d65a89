/* The loop of a firmware: learn the label of the last forecast, forecast the next sample.
 * Build, in the folder of the clone:
 * cc -std=c99 -O2 -ffp-contract=off -fno-math-errno -Icsrc examples/minimal.c csrc/nbt_*.c */
#include <stdio.h>

#include "nbt.h"

/* The learner's whole memory, known at compile time. */
static NBT_ARENA(arena, NBT_DEFAULT_BYTES(1, 1, 16, 0, NBT_LINK_GAUSSIAN));

/* Simulates an analogue-to-digital converter: a triangle wave. */
static float read_sensor(unsigned t)
{
    unsigned phase = t % 40u;
    return (float)(phase < 20u ? phase : 40u - phase) / 10.0f - 1.0f;
}

int main(void)
{
    nbt_config config = nbt_config_default(1, 1, 16, NBT_LINK_GAUSSIAN);
    const int32_t anchor[1] = {0}; /* the output predicts input 0 */
    nbt_learner *learner = NULL;
    nbt_status status = nbt_init(arena, sizeof arena, &config, &learner);
    if (status >= 0) {
        status = nbt_anchor_set(learner, anchor);
    }
    float forecast = 0.0f;
    float error = 0.0f;

    for (unsigned t = 0; t < 5000u && status >= 0; t++) {
        float sample = read_sensor(t);
        float miss = sample > forecast ? sample - forecast : forecast - sample;
        error += 0.01f * (miss - error);
        if (t > 0u) {
            status = nbt_learn(learner, &sample);
        }
        if (status >= 0) {
            status = nbt_predict(learner, &forecast, &sample);
        }
        if (t % 1000u == 100u) {
            printf("step %4u  mean error %.4f\n", t, (double)error);
        }
    }
    printf("%s, %u bytes, hash %08lx\n", nbt_status_text(status), (unsigned)sizeof arena,
           (unsigned long)(nbt_hash(learner) & 0xffffffffu));
    return status < 0;
}
