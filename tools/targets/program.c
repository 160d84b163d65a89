/* Runs every kind of learner that fits on a recorded stream, and prints its hashes after 1, 10,
 * 100, ... steps. There is no operating system: what prints and ends is semihosting.h. */
#include "nbt.h"
#include "semihosting.h"
#include "stream.h" /* made by tools.targets: SAMPLES, CHANNELS, stream_bits */

enum { N_IN = CHANNELS, N_OUT = 3, N_HIDDEN = 4, HORIZON = 2 };

static NBT_ARENA(arena, ARENA_BYTES);

static void read_sample(float *x, uint32_t step)
{
    for (size_t i = 0; i < N_IN; i++) {
        union {
            uint32_t bits;
            float value;
        } word = {stream_bits[step % SAMPLES][i]};
        x[i] = word.value;
    }
}

/* The label of a step from its sample; a comparison with NaN is false. */
static void label_of(float *label, const float *x, uint32_t link)
{
    for (size_t o = 0; o < N_OUT; o++) {
        label[o] = link == NBT_LINK_GAUSSIAN ? x[o] : x[o] > 0.0f ? 1.0f : 0.0f;
    }
    if (link == NBT_LINK_CATEGORICAL) {
        label[0] = x[0] > 0.5f ? 2.0f : x[0] > -0.5f ? 1.0f : 0.0f;
    }
}

static void print_hex(uint64_t value)
{
    char text[18];
    for (size_t i = 0; i < 16; i++) {
        text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15u];
    }
    text[16] = ' ';
    text[17] = '\0';
    print(text);
}

static void print_kind(const nbt_config *config)
{
    char text[] = "c e f l u: ";
    text[0] = (char)('0' + config->cell);
    text[2] = (char)('0' + config->estimator);
    text[4] = (char)('0' + config->filter);
    text[6] = (char)('0' + config->link);
    text[8] = (char)('0' + config->follow);
    print(text);
}

static void run(const nbt_config *config)
{
    nbt_learner *learner;
    float x[N_IN], y[N_OUT], label[N_OUT];
    uint32_t next = 1;
    print_kind(config);
    nbt_status status = nbt_init(arena, sizeof arena, config, &learner);
    if (status == NBT_ERR_BYTES) {
        print("too big\n");
        return;
    }
    if (config->anchored != 0) {
        const int32_t anchor[N_OUT] = {0, 1, 2};
        status = nbt_anchor_set(learner, anchor);
    }
    for (uint32_t step = 1; step <= STEPS && status >= 0; step++) {
        read_sample(x, step - 1);
        if (nbt_pending(learner) == HORIZON) {
            label_of(label, x, config->link);
            status = nbt_learn(learner, label);
        }
        if (status >= 0) {
            status = nbt_predict(learner, y, x);
        }
        if (step == next || step == STEPS) {
            print_hex(nbt_hash(learner));
            next *= 10;
        }
    }
    print(status < 0 ? "failed\n" : "\n");
}

/* Without units that follow and what needs them. */
static void stand_still(nbt_config *config)
{
    config->follow = config->anchored = config->linear_lags = 0;
    config->linear_forget = config->slow_forget = config->mix_forget = 0.0f;
    config->intervals = config->anomaly = 0;
    config->scale_rate = config->input_limit = 0.0f;
    config->drift_steps = 300;
}

int main(void)
{
    for (uint32_t kind = 0; kind < 54u * NBT_CELL_END; kind++) {
        nbt_config config = nbt_config_for(N_IN, N_OUT, N_HIDDEN, kind / 54, kind % 3);
        config.filter = kind / 3 % 3;
        config.estimator = kind / 9 % 6;
        if (NBT_IN(NBT_CELLS_ALONE, config.cell) != 0) {
            config.resonators = config.cell == NBT_CELL_RESONATOR ? N_HIDDEN : 1;
            config.head = 2;
        }
        config.max_delay = HORIZON - 1;
        config.hold_missing = 1;
        if (config.filter == NBT_FILTER_SGD) { /* what needs covariances */
            config.prior_units = config.linear_lags = 0;
            config.linear_forget = config.slow_forget = 0.0f;
        }
        if (NBT_IN(1 << NBT_CELL_GATED | NBT_CELLS_ALONE, config.cell) != 0 &&
            nbt_bytes(&config) > 0) {
            run(&config);
        }
        stand_still(&config);
        config.rollback_steps = 200;
        if (nbt_bytes(&config) > 0) {
            run(&config);
        }
    }
    print("done\n");
    return 0;
}
