/* Learners of every kind that are handed on as checkpoints, one after the other in one file:
 *
 *     relay start STEPS OUT        new learners run and are saved
 *     relay on STEPS IN OUT        learners are loaded, run on and are saved
 *
 * Whoever runs a leg, on whatever machine, the files are the same (tests/test_architectures.py). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbt.h"
#include "require.h"
#include "still.h"

enum { MAX_BYTES = 1 << 18, N_IN = 2, N_OUT = 3 };

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8 & 1023u;
}

/* A stream that its learner's age alone determines; every seventh label is missing. */
static void feed(nbt_learner *learner, uint32_t link, uint32_t steps)
{
    static const uint32_t not_a_number = 0x7fc00000u;
    nbt_counters counters;
    REQUIRE(nbt_counters_get(learner, &counters) == NBT_OK);
    uint32_t age = (uint32_t)counters.predictions;
    for (uint32_t step = age; step < age + steps; step++) {
        float x[N_IN], y[N_OUT], label[N_OUT];
        uint32_t lcg = step * 2654435761u;
        for (size_t i = 0; i < N_IN; i++) {
            x[i] = (float)(draw(&lcg) + 64u * (step % 16u)) / 256.0f;
        }
        for (size_t o = 0; o < N_OUT; o++) {
            uint32_t k = draw(&lcg) / 4u + 32u * (step % 16u);
            label[o] = link == NBT_LINK_GAUSSIAN      ? (float)k / 64.0f
                       : link == NBT_LINK_CATEGORICAL ? (float)(k % N_OUT)
                                                      : (float)(k % 5u) / 4.0f;
            if ((step + o) % 7u == 6u) {
                memcpy(&label[o], &not_a_number, sizeof label[o]);
            }
        }
        if (nbt_pending(learner) == 3) {
            REQUIRE(nbt_learn(learner, label) >= 0);
        }
        REQUIRE(nbt_predict(learner, y, x) >= 0);
    }
}

static void hand_on(nbt_learner *learner, const nbt_config *config, uint32_t steps, FILE *out)
{
    static unsigned char checkpoint[MAX_BYTES];
    size_t n = nbt_checkpoint_bytes(config);
    feed(learner, config->link, steps);
    REQUIRE(nbt_save(learner, checkpoint, sizeof checkpoint) == NBT_OK);
    REQUIRE(fwrite(checkpoint, 1, n, out) == n);
}

static void start(uint32_t steps, FILE *out)
{
    static NBT_ARENA(memory, MAX_BYTES);
    for (uint32_t kind = 0; kind < 54u * NBT_CELL_END * 2; kind++) {
        uint32_t guards = kind / (54u * NBT_CELL_END);
        nbt_config config = still_config(N_IN, N_OUT, 5, kind % 3);
        config.filter = kind / 3 % 3;
        config.estimator = kind / 9 % 6;
        config.cell = kind / 54 % NBT_CELL_END;
        config.resonators = config.cell == NBT_CELL_RESONATOR  ? config.n_hidden
                            : config.cell == NBT_CELL_COLUMNAR ? 2 * guards
                                                               : 0;
        config.head = 3 * guards;
        config.head_gain = (float)guards;
        config.lags = 2;
        config.max_delay = 3;
        config.scale_steps = 20;
        config.drift_steps = guards * 5;
        config.rollback_steps = guards * 3;
        config.stuck_steps = guards * 2;
        config.gate = (float)guards;
        config.input_limit = (float)guards * 1.5f;
        nbt_learner *learner;
        if (nbt_bytes(&config) > 0) {
            REQUIRE(nbt_init(memory, sizeof memory, &config, &learner) == NBT_OK);
            hand_on(learner, &config, steps, out);
        }
    }
}

static void on(uint32_t steps, FILE *in, FILE *out)
{
    static unsigned char all[1 << 24];
    static NBT_ARENA(memory, MAX_BYTES);
    size_t n = fread(all, 1, sizeof all, in);
    REQUIRE(n < sizeof all);
    for (size_t at = 0; at < n;) {
        nbt_config config;
        nbt_learner *learner;
        REQUIRE(nbt_load_config(all + at, n - at, &config) == NBT_OK);
        REQUIRE(nbt_load(memory, sizeof memory, all + at, n - at, &learner) == NBT_OK);
        hand_on(learner, &config, steps, out);
        at += nbt_checkpoint_bytes(&config);
    }
}

int main(int argc, char **argv)
{
    int goes_on = argc == 5 && strcmp(argv[1], "on") == 0;
    REQUIRE(goes_on || (argc == 4 && strcmp(argv[1], "start") == 0));
    uint32_t steps = (uint32_t)strtoul(argv[2], NULL, 10);
    FILE *out = fopen(argv[goes_on ? 4 : 3], "wb");
    REQUIRE(out != NULL);
    if (goes_on) {
        FILE *in = fopen(argv[3], "rb");
        REQUIRE(in != NULL);
        on(steps, in, out);
        fclose(in);
    } else {
        start(steps, out);
    }
    REQUIRE(fclose(out) == 0);
    return 0;
}
