#include "nbt_linear.h"

#include "nbt_math.h"

NBT_LOCAL nbt_rls nbt_linear_of(const nbt_layout *l, size_t o)
{
    const nbt_config *config = l->config;
    size_t n = nbt_linear_lags(l) + 1;
    nbt_rls rls = {NBT_OF(l, linear) + o * n,
                   NBT_OF(l, linear_ud) + o * (n * (n + 1) / 2),
                   NBT_OF(l, linear_noise) + o,
                   NBT_OF(l, linear_noise) + l->O + o,
                   n,
                   1,
                   0,
                   config->prior,
                   config->prior,
                   config->linear_forget,
                   config->noise_rate,
                   config->gate,
                   config->prior_units != 0,
                   NULL,
                   NULL};
    return rls;
}

NBT_LOCAL float *nbt_linear_features(const nbt_layout *l, const nbt_ring *taps, size_t o,
                                     size_t age)
{
    float *f = NBT_OF(l, linear_work);
    float channel = NBT_OF(l, anchor)[o];
    f[0] = 1.0f;
    if (channel >= 0.0f) {
        nbt_ring_channel(taps, f + 1, (size_t)channel, age, nbt_linear_lags(l));
    } else {
        nbt_fill(f + 1, 0.0f, nbt_linear_lags(l));
    }
    return f;
}

NBT_LOCAL float nbt_linear_read(const nbt_layout *l, const nbt_ring *taps, size_t o)
{
    size_t n = nbt_linear_lags(l) + 1;
    return nbt_dot(NBT_OF(l, linear) + o * n, nbt_linear_features(l, taps, o, 0), n);
}

NBT_LOCAL void nbt_linear_move(const nbt_layout *l, size_t o, float a, float b)
{
    nbt_rls rls = nbt_linear_of(l, o);
    nbt_rls_move(&rls, 1, 1, nbt_linear_lags(l), a, b);
}
