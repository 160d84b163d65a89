#include "_selfcheck.h"

#include <fenv.h>
#include <math.h>

enum { STEPS = 24 };

int nbt_floats_of_thread(void)
{
    /* Volatile, so that the thread computes it at run time. */
    volatile float smallest = 1.17549435e-38f, denormal = 1e-40f, one = 1.0f, bit = 1e-9f;
    volatile float half = smallest * 0.5f, normal = denormal * 1e10f;
    volatile float up = one + bit, down = one - bit;
    return (half == 0.0f || normal == 0.0f ? NBT_FLOATS_FLUSHED : 0) +
           (up != one || down != one ? NBT_FLOATS_ROUNDED : 0);
}

/* Whether both calls refuse an invalid number. */
static int refuses(nbt_learner *learner, float bad)
{
    float y, x[2] = {0.0f, bad};
    int refused = nbt_predict(learner, &y, x) == NBT_ERR_INPUT;
    x[1] = 0.0f;
    if (nbt_predict(learner, &y, x) < 0) {
        return 0;
    }
    if (bad == bad) { /* a NaN is a missing label */
        refused &= nbt_learn(learner, &bad) == NBT_ERR_LABEL;
    }
    return refused && nbt_learn(learner, x) >= 0;
}

/* The hash of a learner with this configuration after a few steps; 0 if one of them fails. */
static uint64_t steps(uint32_t simd, const nbt_config *config)
{
    NBT_ARENA(arena, NBT_DEFAULT_BYTES(2, 1, 5, 0, NBT_LINK_GAUSSIAN));
    const int32_t anchor[1] = {0};
    nbt_learner *learner;
    if (nbt_init(arena, sizeof arena, config, &learner) != NBT_OK ||
        (config->anchored != 0 && nbt_anchor_set(learner, anchor) != NBT_OK)) {
        return 0;
    }
    nbt_simd_limit(learner, simd);
    for (int t = 0; t < STEPS; t++) {
        float y, label = (float)(t * t % 7) * 0.25f - 0.5f;
        /* The square of the second input and its products are denormal numbers. */
        float x[2] = {(float)(t % 5) - 2.0f, (float)(t % 3) * 1e-20f};
        if (nbt_predict(learner, &y, x) < 0 || nbt_learn(learner, &label) < 0) {
            return 0;
        }
    }
    if (!refuses(learner, NAN) || !refuses(learner, INFINITY) || !refuses(learner, -INFINITY)) {
        return 0;
    }
    return nbt_hash(learner);
}

/* The default learner, and a learner with dense units on inputs with fixed units. */
static uint64_t both(uint32_t simd)
{
    nbt_config config = nbt_config_default(2, 1, 5, NBT_LINK_GAUSSIAN);
    uint64_t first = steps(simd, &config);
    config = nbt_config_for(2, 1, 5, NBT_CELL_GATED, NBT_LINK_GAUSSIAN);
    config.follow = config.anchored = config.linear_lags = 0;
    config.linear_forget = config.slow_forget = config.mix_forget = 0.0f;
    config.intervals = config.anomaly = 0;
    uint64_t second = steps(simd, &config);
    return first != 0 && second != 0 ? first * 3 + second : 0;
}

uint64_t nbt_selfcheck(uint32_t simd)
{
    fenv_t own;
    if (fegetenv(&own) != 0 || fesetenv(FE_DFL_ENV) != 0) {
        return 0;
    }
    uint64_t hash = nbt_floats_of_thread() == 0 ? both(simd) : 0;
    fesetenv(&own);
    return hash;
}
