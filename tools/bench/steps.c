/* Runs STEPS steps of one kind of learner, for an instruction counter:
 *
 *     steps CELL ESTIMATOR FILTER HIDDEN HEAD STEPS
 *
 * in numbers of csrc/nbt.h; 3 inputs, 1 output, gaussian.
 *
 * One step is a learn and a predict. Nothing depends on the machine or the time. */
#include <stdio.h>
#include <stdlib.h>

#include "nbt.h"

enum { INPUTS = 3 };

/* A number in [-1, 1). */
static float draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * (1.0f / 8388608.0f) - 1.0f;
}

int main(int argc, char **argv)
{
    uint32_t number[6] = {0};
    if (argc != 7) {
        fputs("usage: steps CELL ESTIMATOR FILTER HIDDEN HEAD STEPS\n", stderr);
        return 2;
    }
    for (int i = 0; i < 6; i++) {
        number[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
    }
    nbt_config config = nbt_config_for(INPUTS, 1, number[3], number[0], NBT_LINK_GAUSSIAN);
    /* The network and its readout alone. */
    config.follow = config.anchored = config.linear_lags = config.prior_units = 0;
    config.linear_forget = config.slow_forget = config.mix_forget = 0.0f;
    config.intervals = config.anomaly = 0;
    config.scale_rate = config.input_limit = 0.0f;
    config.lags = 1;
    config.gate = 20.0f; /* so that no label is limited */
    config.estimator = number[1];
    config.filter = number[2];
    config.resonators = config.cell == NBT_CELL_RESONATOR ? config.n_hidden : 0;
    config.head = number[4];
    config.head_gain = config.head > 0 ? 1.0f : 0.0f;
    size_t bytes = nbt_bytes(&config);
    void *memory = bytes > 0 ? malloc(bytes) : NULL;
    nbt_learner *learner = NULL;
    if (memory == NULL || nbt_init(memory, bytes, &config, &learner) != NBT_OK) {
        fputs("refused\n", stderr);
        return 1;
    }
    uint32_t random = 1;
    float y = 0.0f;
    float x[INPUTS] = {0};
    float sum = 0.0f;
    nbt_status status = nbt_predict(learner, &y, x);
    for (uint32_t t = 0; t < number[5] && status == NBT_OK; t++) {
        float label = 0.5f * x[0] + x[1] * x[2] + 0.1f * draw(&random);
        for (size_t i = 0; i < INPUTS; i++) {
            x[i] = 0.8f * x[i] + 0.6f * draw(&random);
        }
        status = nbt_learn(learner, &label);
        if (status == NBT_OK) {
            status = nbt_predict(learner, &y, x);
        }
        sum += y;
    }
    printf("%d %g\n", status, (double)sum);
    free(memory);
    return status == NBT_OK ? 0 : 1;
}
