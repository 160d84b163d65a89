#include "nbt_scaler.h"

#include "nbt_math.h"

#define SCALED_LIMIT 1e6f
#define VALUE_LIMIT 1e18f /* its square is still a float32 */

NBT_LOCAL nbt_scale nbt_scale_count(nbt_scale scale, float z, uint32_t steps, float rate)
{
    if (steps == 0) {
        return scale;
    }
    if (scale.count < (float)steps) {
        scale.count += 1.0f;
        rate = 1.0f / scale.count;
    }
    float before = z - scale.mean;
    scale.mean += rate * before;
    float variance = scale.variance + rate * (before * (z - scale.mean) - scale.variance);
    scale.variance = variance > 0.0f ? variance : 0.0f; /* rounding may overshoot at rate 1 */
    return scale;
}

NBT_LOCAL float nbt_scale_deviation(nbt_scale scale)
{
    int varies = scale.variance > 1e-12f * scale.mean * scale.mean + 1e-30f;
    return varies ? nbt_sqrt(scale.variance) : 1.0f;
}

NBT_LOCAL float nbt_scale_clip(nbt_scale scale, float z, uint32_t steps, float limit)
{
    float reach = limit * nbt_scale_deviation(scale);
    float low = scale.mean - reach;
    float high = scale.mean + reach;
    int clips = limit > 0.0f && scale.count >= (float)steps && nbt_is_finite(z);
    return !clips ? z : z < low ? low : z > high ? high : z;
}

NBT_LOCAL nbt_scale nbt_scale_load(const float *stats, size_t channel, size_t n)
{
    nbt_scale scale = {stats[channel], stats[n + channel], stats[2 * n + channel]};
    return scale;
}

NBT_LOCAL void nbt_scale_store(float *stats, nbt_scale scale, size_t channel, size_t n)
{
    stats[channel] = scale.mean;
    stats[n + channel] = scale.variance;
    stats[2 * n + channel] = scale.count;
}

NBT_LOCAL int nbt_scale_try(nbt_scale *scale, float *scaled, float z, uint32_t steps, float rate)
{
    *scale = nbt_scale_count(*scale, z, steps, rate);
    *scaled = (z - scale->mean) / nbt_scale_deviation(*scale);
    /* A NaN compares false, so it is refused too. */
    return nbt_abs(z) <= VALUE_LIMIT && nbt_abs(*scaled) <= SCALED_LIMIT;
}
