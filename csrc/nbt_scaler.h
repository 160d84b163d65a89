/* Running standardisation of one channel (docs/design.md, section 5). Inline and without branches,
 * so that loops over channels vectorise. */
#ifndef NBT_SCALER_H
#define NBT_SCALER_H

#include "nbt_math.h"

#define NBT_SCALED_LIMIT 1e6f
#define NBT_VALUE_LIMIT 1e18f /* its square is still a float32 */

typedef struct nbt_scale {
    float mean;
    float variance; /* population variance of the counted values */
    float count;    /* values counted, up to scale_steps */
} nbt_scale;

/* Returns the statistics after counting z: rate 1 / n up to steps values, then `rate`; steps 0
 * counts nothing. */
NBT_INLINE_LANES nbt_scale nbt_scale_count(nbt_scale scale, float z, uint32_t steps, float rate)
{
    int counts = scale.count < (float)steps;
    float counted = nbt_select(counts, scale.count + 1.0f, scale.count);
    float start = 1.0f / counted;
    rate = steps == 0 ? 0.0f : rate;
    rate = nbt_select(counts, start, rate);
    float before = z - scale.mean;
    float mean = scale.mean + rate * before;
    float variance = scale.variance + rate * (before * (z - mean) - scale.variance);
    variance = nbt_select(variance > 0.0f, variance, 0.0f); /* rounding may overshoot at rate 1 */
    nbt_scale after = {mean, variance, counted};
    return after;
}

/* Standard deviation; 1 for a channel that has not varied yet. */
NBT_INLINE float nbt_scale_deviation(nbt_scale scale)
{
    float root = nbt_sqrt(scale.variance);
    return nbt_select(scale.variance > 1e-12f * scale.mean * scale.mean + 1e-30f, root, 1.0f);
}

/* z limited to `limit` deviations from the mean once `steps` values were counted. limit 0, NaN and
 * infinities are returned unchanged. */
NBT_INLINE_LANES float nbt_scale_clip(nbt_scale scale, float z, uint32_t steps, float limit)
{
    float reach = limit * nbt_scale_deviation(scale);
    float low = scale.mean - reach;
    float high = scale.mean + reach;
    float clipped = nbt_clamp(z, low, high);
    int clips = (int)(limit > 0.0f) & (int)(scale.count >= (float)steps) & nbt_is_finite(z);
    return nbt_select(clips, clipped, z);
}

/* scaled = (z - mean) / deviation after counting z. Returns 0 if z is not finite, beyond 1e18, or
 * beyond 1e6 deviations. *scale receives the new statistics. */
NBT_INLINE_LANES int nbt_scale_try(nbt_scale *scale, float *scaled, float z, uint32_t steps,
                                   float rate)
{
    *scale = nbt_scale_count(*scale, z, steps, rate);
    *scaled = (z - scale->mean) / nbt_scale_deviation(*scale);
    /* A comparison with NaN is false, so NaN is refused too. */
    int small = nbt_abs(z) <= NBT_VALUE_LIMIT;
    int near = nbt_abs(*scaled) <= NBT_SCALED_LIMIT;
    return small & near;
}

/* stats (3, n): mean, variance, count rows. */
NBT_INLINE nbt_scale nbt_scale_load(const float *stats, size_t channel, size_t n)
{
    nbt_scale scale = {stats[channel], stats[n + channel], stats[2 * n + channel]};
    return scale;
}

NBT_INLINE void nbt_scale_store(float *stats, nbt_scale scale, size_t channel, size_t n)
{
    stats[channel] = scale.mean;
    stats[n + channel] = scale.variance;
    stats[2 * n + channel] = scale.count;
}

#endif
