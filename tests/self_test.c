/* What the self-test of an exported firmware does, for many learners from one file:
 *
 *     self_test CASES
 *
 * Each case: four uint32_t (bytes of the checkpoint, steps, inputs, values of a label), the checkpoint, then for
 * each step the floats of inputs and label. Prints a line a case, the hash after every step. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "nbt.h"

static void *need(FILE *file, size_t size, size_t n)
{
    void *data = malloc(size * n + 1);
    if (data == NULL || fread(data, size, n, file) != n) {
        exit(1);
    }
    return data;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    uint32_t sizes[4];
    if (file == NULL) {
        return 1;
    }
    while (fread(sizes, sizeof sizes[0], 4, file) == 4) {
        uint32_t n_in = sizes[2], width = sizes[2] + sizes[3];
        unsigned char *state = need(file, 1, sizes[0]);
        float *samples = need(file, sizeof(float), (size_t)sizes[1] * width);
        nbt_config config;
        nbt_learner *learner;
        if (nbt_load_config(state, sizes[0], &config) != NBT_OK) {
            return 1;
        }
        void *block = malloc(nbt_bytes(&config));
        float *forecast = malloc(config.n_out * sizeof(float));
        if (nbt_load(block, nbt_bytes(&config), state, sizes[0], &learner) != NBT_OK) {
            return 1;
        }
        for (uint32_t step = 0; step < sizes[1]; step++) {
            const float *sample = samples + (size_t)step * width;
            if (nbt_pending(learner) > 0) {
                (void)nbt_learn(learner, sample + n_in);
            }
            (void)nbt_predict(learner, forecast, sample);
            printf("%016" PRIx64 " ", nbt_hash(learner));
        }
        printf("\n");
        free(forecast);
        free(block);
        free(samples);
        free(state);
    }
    fclose(file);
    return 0;
}
