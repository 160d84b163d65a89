/* Any configuration and any sequence of calls with any floats: nothing that is refused changes the
 * learner, and it can be saved at any time. */
#include <stdlib.h>
#include <string.h>

#include "../still.h"
#include "nbt.h"

static const unsigned char *next;
static size_t left;

static uint32_t take(size_t bytes)
{
    uint32_t value = 0;
    size_t n = bytes < left ? bytes : left;
    memcpy(&value, next, n);
    next += n;
    left -= n;
    return value;
}

static float take_float(void)
{
    uint32_t bits = take(4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static nbt_config take_config(void)
{
    nbt_config config =
        still_config(1 + take(1) % 3, 2 + take(1) % 2, 1 + take(1) % 4, take(1) % 4);
    config.lags = take(1) % 4;
    config.max_delay = take(1) % 4;
    config.cell = take(1) % (NBT_CELL_END + 1u);
    config.estimator = take(1) % (NBT_EST_END + 1u);
    config.norm = take(1) % 3;
    config.filter = take(1) % 4;
    config.scale_steps = take(1) % 8;
    config.hold_missing = take(1) % 3;
    config.anneal_steps = take(1);
    uint32_t guards = take(1);
    config.stuck_steps = guards % 3;
    config.drift_steps = guards / 3 % 3 * 2;
    config.rollback_steps = guards / 9 % 3;
    config.gate = (float)(guards / 27 % 3 * 5);
    config.input_limit = (float)(guards / 81 % 3 * 5);
    uint32_t streams = take(1);
    config.follow = streams & 1u;
    config.anchored = streams >> 1 & 1u;
    config.prior_units = streams >> 2 & 1u;
    config.mix_forget = streams & 8u ? 0.998f : 0.0f;
    config.slow_forget = streams & 16u ? 0.9998f : 0.0f;
    config.linear_lags = streams & 32u ? 3u : 0u;
    config.linear_forget = streams & 32u ? 0.999f : 0.0f;
    config.head = streams & 64u ? 2 : 0;
    config.head_gain = streams & 64u ? 1.0f : 0.0f;
    config.resonators = config.cell == NBT_CELL_RESONATOR ? config.n_hidden : streams >> 7;
    float *fields[] = {&config.scale_rate, &config.tau_min,    &config.decay,  &config.rate,
                       &config.info_rate,  &config.info_floor, &config.forget, &config.prior_hidden,
                       &config.gate,       &config.input_limit};
    if (take(1) % 2 == 1) {
        *fields[take(1) % 10] = take_float();
    }
    return config;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    static uint64_t memory[1 << 13], other[1 << 13];
    static unsigned char checkpoint[1 << 16];
    nbt_learner *learner = NULL;
    next = data;
    left = n;
    nbt_config config = take_config();
    if (nbt_init(memory, sizeof memory, &config, &learner) != NBT_OK) {
        return 0;
    }
    while (left > 0) {
        float x[4], y[4];
        uint64_t before = nbt_hash(learner);
        nbt_status status = NBT_OK;
        uint32_t call = take(1) % 8;
        for (size_t i = 0; i < 4; i++) {
            x[i] = call % 2 == 0 ? take_float() : (float)(int8_t)take(1) / 32.0f;
        }
        if (call < 4) {
            float peeked[4];
            nbt_status seen = nbt_peek(learner, peeked, x, other, sizeof other);
            int is_changed = nbt_hash(learner) != before;
            status = nbt_predict(learner, y, x);
            int is_same = status < 0 || memcmp(y, peeked, config.n_out * sizeof *y) == 0;
            if (is_changed || (status != NBT_ERR_FULL && (status != seen || !is_same))) {
                abort();
            }
        } else if (call < 7) {
            status = nbt_learn(learner, x);
        } else {
            nbt_learner *loaded = NULL;
            if (nbt_save(learner, checkpoint, sizeof checkpoint) != NBT_OK ||
                nbt_load(other, sizeof other, checkpoint, sizeof checkpoint, &loaded) != NBT_OK ||
                nbt_hash(loaded) != before) {
                abort();
            }
        }
        if (status < 0 && nbt_hash(learner) != before) {
            abort();
        }
    }
    return 0;
}
